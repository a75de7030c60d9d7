import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from blemish.data.records import read_records


def test_regions_are_corrupted_and_nothing_else_is(blemish, pictures, tmp_path):
    images, masks = pictures
    code, out, err = blemish("corrupt", images, "--masks", masks, "--out", tmp_path / "out", "--recipe", "proposed-45")
    assert code == 0, err
    assert "3 images corrupted by proposed-45" in out
    records = list(read_records(tmp_path / "out/records.parquet"))
    assert [record.id for record in records] == ["0", "1", "2"]
    strength = pd.read_csv(tmp_path / "out/strength.csv").set_index("id")
    for record in records:
        assert record.image.shape == (64, 64, 3) and record.recipe == "proposed-45"
        assert (np.array(Image.open(tmp_path / f"out/images/{record.id}.png")) == record.image).all()
        assert (np.array(Image.open(tmp_path / f"out/masks/{record.id}.png")) == 255 * record.mask).all()
    assert [record.mask.any() for record in records] == [True, True, False]
    assert np.isinf(strength.psnr_outside[2])  # untouched but for the VAE
    assert (strength.psnr_inside < strength.psnr_outside)[:2].all()
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert card["recipe"] == {"name": "proposed-45", "method": "proposed", "step": 45} and card["regions"] == "given"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "card.json",
        "images",
        "masks",
        "records.parquet",
        "strength.csv",
    ]


def test_without_masks_the_selector_finds_the_regions(blemish, pictures, weights, tmp_path):
    recipe = "{method: blur, step: 48, sigma: 1}"
    code, out, err = blemish(
        *("corrupt", pictures[0], "--out", tmp_path / "out", "--recipe", recipe, "--weights", weights)
    )
    assert code == 0, err
    assert "own-blur-48" in out and f"where {weights} gives at least 0.3" in err
    records = list(read_records(tmp_path / "out/records.parquet"))
    assert any(record.mask.any() for record in records)


def test_an_image_without_a_mask_is_named(blemish, pictures, tmp_path):
    images, masks = pictures
    (masks / "1.png").unlink()
    code, _, err = blemish("corrupt", images, "--masks", masks, "--out", tmp_path / "out")
    assert code == 1 and "no mask of the stem 1" in err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("propsed-40", "did you mean 'proposed-40'"),
        ("{method: blurr, step: 30}", "did you mean 'blur'"),
        ("{method: blur, step: 30, width: 2}", "width is not a key"),
        ("{method: blur, step: 77, sigma: 2}", "step is 77"),
        ("{method: blur, step: 30, sigma: wide}", "sigma is wide"),
        ("{method: blur, step: 30, sigma: 0}", "sigma is 0"),
        ("{method: downscale, step: 30, factor: 0}", "factor is 0"),
        ("{method: blur}", "lacks a method or a step"),
        ("{method: blur, step: [}", "not YAML"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(blemish, pictures, tmp_path, recipe, sentence):
    images, masks = pictures
    code, _, err = blemish("corrupt", images, "--masks", masks, "--out", tmp_path / "out", "--recipe", recipe)
    (line,) = [line for line in err.splitlines() if line.startswith("blemish: ")]
    assert code == 1 and sentence in line and not (tmp_path / "out").exists()


def test_a_folder_that_exists_is_left_alone(blemish, pictures, tmp_path):
    (tmp_path / "out").mkdir()
    code, _, err = blemish("corrupt", pictures[0], "--masks", pictures[1], "--out", tmp_path / "out")
    assert code == 1 and "exists already" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_one_bad_image_leaves_nothing_behind(blemish, pictures, tmp_path):
    (pictures[0] / "1.png").write_text("not an image")
    code, _, err = blemish("corrupt", pictures[0], "--masks", pictures[1], "--out", tmp_path / "out")
    assert code == 1 and "1.png: it is no image that can be read" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "masks"]


def test_without_detectors_it_says_how_to_get_one(blemish, pictures, tmp_path, no_results):
    code, _, err = blemish("corrupt", pictures[0], "--out", tmp_path / "out")
    assert code == 1 and "make demo" in err and "--weights" in err


def test_without_a_model_it_says_how_to_get_it(blemish, pictures, tmp_path, no_results):
    shutil.rmtree(tmp_path / "home/resources")
    code, _, err = blemish("corrupt", pictures[0], "--masks", pictures[1], "--out", tmp_path / "out")
    assert code == 1 and "results/mini/sources/diffusion" in err


@pytest.mark.parametrize("text", ["resolution: large", "resolutoin: 64", "- 1", "a: ["])
def test_a_wrong_config_is_one_sentence(blemish, pictures, tmp_path, text):
    (tmp_path / "own.yaml").write_text(text)
    code, _, err = blemish("corrupt", pictures[0], "--out", tmp_path / "out", "--config", tmp_path / "own.yaml")
    assert code == 1 and err.startswith("blemish: ")

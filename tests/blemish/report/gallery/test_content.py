"""What the gallery holds: the images that were drawn, with the right masks, predictions and measures."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from blemish.experiments import CorruptedPool
from blemish.report.examples import drawn, fetch
from blemish.report.gallery import content
from blemish.report.strength_table import read_strength


def decode(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


def unrun(runs: list[int], size: list[int]) -> np.ndarray:
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size[::-1])


def test_images_without_a_region_are_left_out_and_each_clean_image_comes_once(files, predict):
    found = content.collect(*files, 100, 0, predict, 0.5)
    assert found["sets"] == [
        ["hps", "blur-30", "swin-t"],
        ["hps", "proposed-40", "swin-t"],
        ["hps", "blur-30", "other"],
    ]
    assert sorted(image["id"] for image in found["clean"]) == [f"image-{i}" for i in range(1, 10)]
    assert [image["set"] for image in found["images"]] == [0] * 9 + [1] * 9 + [2] * 9
    json.dumps(found, allow_nan=False)


def test_which_images_are_shown_follows_from_the_seed(files, predict):
    found = content.collect(*files, 4, 3, predict, 0.5)
    names = [found["clean"][image["clean"]]["id"] for image in found["images"]]
    expected = list(drawn(read_strength(next(iter(files[2].values()))), 4, 3)["id"])
    assert names == 3 * expected


def test_images_masks_and_prompts_are_those_of_the_records(files, predict):
    found = content.collect(*files, 100, 0, predict, 0.5)
    shards, corrupted, _ = files
    for image in found["images"]:
        name, clean = found["sets"][image["set"]], found["clean"][image["clean"]]
        part = pd.DataFrame({"id": [clean["id"]], "part": [int(clean["id"][-1]) // 5]})
        (before,), (after,) = fetch(shards["hps"], part), fetch(corrupted[CorruptedPool(*name)], part)
        np.testing.assert_array_equal(decode(clean["image"]), before.image)
        np.testing.assert_array_equal(decode(image["image"]), after.image)
        np.testing.assert_array_equal(unrun(image["mask"], image["size"]), after.mask)
        assert (clean["prompt"], clean["source"]) == (before.prompt, before.source)


def test_the_iou_is_of_the_prediction_that_is_shown(files, predict):
    found = content.collect(*files, 100, 0, predict, 0.5)
    for image in found["images"]:
        name = found["clean"][image["clean"]]["id"]
        if image["set"] == 2:
            assert image["found"] is None and image["values"][0] is None
            continue
        truth, seen = (unrun(image[layer], image["size"]) for layer in ("mask", "found"))
        assert image["values"][0] == pytest.approx(100 * (truth & seen).sum() / (truth | seen).sum())
        assert image["values"][0] == (0 if name in ("image-4", "image-8") else 50)


def test_the_threshold_decides_what_is_predicted(files, predict):
    """The detector says 0.2 of everything below the upper half of a mask."""
    found = content.collect(*files, 100, 0, predict, 0.15)
    image = next(image for image in found["images"] if found["clean"][image["clean"]]["id"] == "image-3")
    assert unrun(image["found"], image["size"]).sum() == 2 * 4 + (16 - 5) * 16
    assert image["values"][0] == pytest.approx(100 * 16 / (2 * 4 + (16 - 5) * 16), abs=0.01)


def test_measures_are_in_the_units_that_are_told(files, predict):
    found = content.collect(*files, 100, 0, predict, 0.5)
    labels = [f"{measure['label']} {measure['unit']}".strip() for measure in found["measures"]]
    by_name = {
        (found["clean"][image["clean"]]["id"], image["set"]): dict(zip(labels, image["values"], strict=True))
        for image in found["images"]
    }
    one = by_name["image-3", 1]
    assert one["PSNR inside dB"] == 14 and one["Changed %"] == 25 and one["Mask area %"] == 6.25
    assert one["Latent distance"] == pytest.approx(0.3)
    assert by_name["image-9", 0]["PSNR inside dB"] == "Infinity"


def test_a_pool_without_any_region_adds_nothing(files, predict, tmp_path):
    clean, corrupted, strength = files
    first = next(iter(corrupted))
    read_strength(strength[first]).assign(latent_distance=np.nan).to_csv(tmp_path / "empty.csv", index=False)
    empty = CorruptedPool("hps", "x", "y")
    only = {empty: [], first: corrupted[first]}, {empty: [tmp_path / "empty.csv"], first: strength[first]}
    found = content.collect(clean, *only, 100, 0, predict, 0.5)
    assert found["sets"] == [list(first)] and {image["set"] for image in found["images"]} == {0}

import json

import numpy as np
import pandas as pd
import pytest

from blemish.data.records import Record, write_records
from blemish.evaluation.evaluate import summarise


def test_images_with_masks_are_scored(blemish, pictures, weights, tmp_path):
    images, masks = pictures
    code, out, err = blemish("score", images, "--masks", masks, "--weights", weights, "--out", tmp_path / "out")
    assert code == 0, err
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    rows = pd.read_parquet(tmp_path / "out/per_image.parquet")
    assert metrics == pytest.approx(summarise(rows))
    assert list(rows.id) == ["0", "1", "2"] and metrics["images"] == 3 and metrics["empty_truth"] == 1
    assert f"{metrics['iou']:.2f} %" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.json", "per_image.parquet"]


def test_records_score_as_their_images_do(blemish, pictures, weights, tmp_path):
    images, masks = pictures
    done = blemish("corrupt", images, "--masks", masks, "--out", tmp_path / "set", "--recipe", "gaussian-50")
    assert done[0] == 0, done
    for name, given in (("a", [tmp_path / "set/records.parquet"]), ("b", [tmp_path / "set/images"])):
        options = ["--masks", tmp_path / "set/masks"] if name == "b" else []
        assert blemish("score", *given, *options, "--weights", weights, "--out", tmp_path / name)[0] == 0
    assert (tmp_path / "a/metrics.json").read_text() == (tmp_path / "b/metrics.json").read_text()


def test_masks_belong_to_images_and_not_to_records(blemish, pictures, weights, tmp_path):
    for arguments in ([pictures[0]], [tmp_path / "x.parquet", "--masks", pictures[1]]):
        code, _, err = blemish("score", *arguments, "--weights", weights, "--out", tmp_path / "out")
        assert code == 1 and "--masks" in err


@pytest.mark.parametrize("fault", ["size", "mask"])
def test_records_that_cannot_be_judged_are_named(blemish, weights, tmp_path, fault):
    image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool)
    other = Record("odd", image[:32], mask[:32]) if fault == "size" else Record("odd", image, None)
    write_records(tmp_path / "x.parquet", [Record("whole", image, mask), other])
    code, _, err = blemish("score", tmp_path / "x.parquet", "--weights", weights, "--out", tmp_path / "out")
    assert code == 1 and "odd" in err and not (tmp_path / "out").exists()

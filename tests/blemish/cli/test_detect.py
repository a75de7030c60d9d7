import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from blemish.cli.detect import overlay


def test_maps_overlays_and_areas_say_the_same(blemish, pictures, weights, tmp_path):
    code, out, err = blemish("detect", pictures[0], "--out", tmp_path / "out", "--weights", weights)
    assert code == 0, err
    table = pd.read_csv(tmp_path / "out/detections.csv", dtype={"id": str})
    assert list(table.id) == ["0", "1", "2"]
    assert f"{(table.artifact_pixels > 0).sum()} of 3 images" in out
    for row in table.itertuples():
        stored = np.array(Image.open(tmp_path / f"out/probabilities/{row.id}.png"))
        probability = stored / 65535
        assert stored.dtype == np.uint16 and probability.shape == (64, 64)
        assert probability.max() == pytest.approx(row.max_probability, abs=1e-5)
        assert row.artifact_share == pytest.approx(row.artifact_pixels / 64**2, abs=1e-6)
        assert abs((probability >= 0.5).sum() - row.artifact_pixels) <= (abs(probability - 0.5) < 2e-5).sum()
        assert Image.open(tmp_path / f"out/overlays/{row.id}.png").size == (64, 64)
    assert not (tmp_path / "out/clean.parquet").exists()


def test_only_artifacts_are_tinted():
    image, artifact = np.full((2, 2, 3), 255, np.uint8), np.array([[True, False], [False, False]])
    shown = overlay(image, artifact)
    assert shown[0, 0].tolist() == [254, 127, 127] and (shown[~artifact] == 255).all() and (image == 255).all()


def test_the_best_detector_of_the_results_is_taken(blemish, pictures, weights, tmp_path, no_results):
    for name, iou in (("a", 20.0), ("b", 40.0)):
        folder = tmp_path / "results/mini/detectors/hps" / name / "swin-t/seed-0"
        shutil.copytree(weights.parent, folder)
        (folder / "metrics.json").write_text(json.dumps({"iou": iou}))
    code, _, err = blemish("detect", pictures[0], "--out", tmp_path / "out")
    assert code == 0 and "Detector: results/mini/detectors/hps/b/" in err


def test_weights_without_a_card_are_refused(blemish, pictures, weights, tmp_path):
    shutil.copy(weights, tmp_path / "weights.safetensors")
    code, _, err = blemish(
        "detect", pictures[0], "--out", tmp_path / "out", "--weights", tmp_path / "weights.safetensors"
    )
    assert code == 1 and "card.json is missing" in err and not (tmp_path / "out").exists()

"""Regions are where the selector's probability reaches tau, in the image's own record."""

import json
import logging

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blemish.data.records import Record, read_records, write_records
from blemish.detection import models
from blemish.detection.predict import probabilities
from blemish.detection.regions import match_area, select_regions
from blemish.detection.settings import Inference


@pytest.fixture
def clean(tmp_path, squares, tiny):
    """Weights and a shard of images in the test's folder; returns its records."""
    torch.manual_seed(0)
    state = {name: tensor.contiguous() for name, tensor in models.build(tiny["swin"]).state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    records = [Record(f"i{i}", image, None, f"prompt {i}", f"test:{i}") for i, image in enumerate(squares[0])]
    write_records(tmp_path / "clean.parquet", records)
    return records


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_region_is_where_the_probability_reaches_tau(tmp_path, clean, tiny, batch_size):
    how = Inference(device="cpu", batch_size=batch_size, amp=None)
    found = dict(probabilities(tmp_path / "weights.safetensors", tiny["swin"], clean, how))
    tau = float(np.median(np.stack(list(found.values()))))
    files = [tmp_path / name for name in ("clean.parquet", "weights.safetensors", "regions.parquet")]
    select_regions(*files[:2], tiny["swin"], tau, how, files[2])
    regions = list(read_records(files[2]))
    assert [(r.id, r.prompt, r.source) for r in regions] == [(r.id, r.prompt, r.source) for r in clean]
    for region in regions:
        assert region.image is None and (region.mask == (found[region.id] >= tau)).all()
    assert 0.4 < np.mean([region.mask for region in regions]) < 0.6


def test_area_gives_regions_as_large_as_peoples_marks(tmp_path, clean, tiny):
    mask = np.zeros((10, 10), bool)
    mask[:3] = True
    write_records(tmp_path / "samples.parquet", [Record("a", None, mask), Record("b", None, mask & False)])
    shards = [tmp_path / f"{i}.parquet" for i in range(2)]
    for i, shard in enumerate(shards):
        write_records(shard, clean[i::2])
    how = Inference(device="cpu", batch_size=3, amp=None)
    weights, network = tmp_path / "weights.safetensors", tiny["swin"]
    found = []
    for order in (shards, shards[::-1], [tmp_path / "clean.parquet"]):
        match_area(tmp_path / "samples.parquet", order, weights, network, how, tmp_path / "tau.json")
        found.append(json.loads((tmp_path / "tau.json").read_text()))
    assert found[0] == found[1] == found[2], "however the pool was cut"
    assert found[0]["marked"] == pytest.approx(0.15)
    select_regions(tmp_path / "clean.parquet", weights, network, found[0]["tau"], how, tmp_path / "regions.parquet")
    selected = np.mean([record.mask for record in read_records(tmp_path / "regions.parquet")])
    assert selected == pytest.approx(found[0]["selected"]) and selected == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_regions_of_everything_or_nothing_are_warned_of(tmp_path, clean, tiny, caplog, tau):
    caplog.set_level(logging.INFO)
    how = Inference(device="cpu", batch_size=4, amp=None)
    files = [tmp_path / name for name in ("clean.parquet", "weights.safetensors", "regions.parquet")]
    select_regions(*files[:2], tiny["swin"], tau, how, files[2])
    count = len(clean)
    assert f"{count if tau else 0} of {count} images have none, {0 if tau else count} more than 90 %" in caplog.text
    assert any(entry.levelname == "WARNING" and "selector.tau" in entry.message for entry in caplog.records)

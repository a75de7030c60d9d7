"""Regions are where the selector's probability reaches tau, in the image's own record."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blemish.data.records import Record, read_records, write_records
from blemish.detection import models
from blemish.detection.predict import probabilities
from blemish.detection.regions import select_regions
from blemish.detection.settings import Inference, Selector


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_region_is_where_the_probability_reaches_tau(tmp_path, squares, tiny, batch_size):
    torch.manual_seed(0)
    state = {name: tensor.contiguous() for name, tensor in models.build(tiny["swin"]).state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    clean = [Record(f"i{i}", image, None, f"prompt {i}", f"test:{i}") for i, image in enumerate(squares[0])]
    write_records(tmp_path / "clean.parquet", clean)
    how = Inference(device="cpu", batch_size=batch_size, amp=None)
    found = dict(probabilities(tmp_path / "weights.safetensors", tiny["swin"], clean, how))
    tau = float(np.median(np.stack(list(found.values()))))
    files = [tmp_path / name for name in ("clean.parquet", "weights.safetensors", "regions.parquet")]
    select_regions(*files[:2], tiny["swin"], Selector(tau=tau), how, files[2])
    regions = list(read_records(files[2]))
    assert [(r.id, r.prompt, r.source) for r in regions] == [(r.id, r.prompt, r.source) for r in clean]
    for region in regions:
        assert region.image is None and (region.mask == (found[region.id] >= tau)).all()
    assert 0.4 < np.mean([region.mask for region in regions]) < 0.6

import json

import pytest
import torch
from benchmarks import engine
from torch.utils.flop_counter import FlopCounterMode


def test_a_tiny_model_is_measured_on_the_cpu(tmp_path):
    out = tmp_path / "deep" / "engine"
    options = "--model tiny --device cpu --dtype float32 --batches 1 2 --steps 1 --repeats 1"
    engine.main(["--out", str(out), *options.split()])
    result = json.loads(out.with_suffix(".json").read_text())
    assert out.with_suffix(".png").stat().st_size > 10_000
    assert result["matrix_peak_tflops"] > 0
    assert result["psnr_against_fp32_db"] is None or result["psnr_against_fp32_db"] > 40
    assert [row["batch"] for row in result["sweep"]] == [1, 2]
    for row in result["sweep"]:
        assert 0 < row["share_inside_networks"] < 1
        assert row["against_single_fp32"] > 0
        assert row["images_per_s"] * row["seconds"] == pytest.approx(row["batch"])
    encode, decode, unet = (result["tflop_per_sample"][name] for name in ("encode", "decode", "unet"))
    assert decode > encode > unet > 0


def test_a_matrix_product_counts_two_operations_per_entry():
    """The peak is compared with the counter's figures, so both must count alike."""
    with FlopCounterMode(display=False) as counter:
        torch.ones(8, 8) @ torch.ones(8, 8)
    assert counter.get_total_flops() == 2 * 8**3

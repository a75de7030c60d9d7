import json

import pytest
import torch
from benchmarks import engine
from torch.utils.flop_counter import FlopCounterMode

from blemish.planning.rates import OPERATIONS


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


def test_a_model_on_the_disk_is_measured_with_its_own_sizes(tmp_path, tiny_diffusion):
    options = ["--device", "cpu", "--dtype", "float32", "--batches", "2", "--steps", "1", "--repeats", "1"]
    engine.main(["--out", str(tmp_path / "engine"), "--model", str(tiny_diffusion), *options])
    result = json.loads((tmp_path / "engine.json").read_text())
    assert result["repo"] == f"file:{tiny_diffusion}"
    assert (result["image_side"], result["kind"]) == (16, "cpu")
    assert result["device"].endswith("1 thread")
    assert result["sweep"][0]["inversion_evaluations_per_s"] > 0


def test_a_model_that_is_not_there_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        engine.main(["--out", str(tmp_path / "engine"), "--model", "sd16"])
    assert "sd16" in capsys.readouterr().err


def test_the_forecasts_operations_are_those_of_the_networks():
    from diffusers import AutoencoderKL, UNet2DConditionModel

    spec = engine.MODELS["sd15"]
    with torch.device("meta"):
        unet, vae = UNet2DConditionModel(**spec["unet"]), AutoencoderKL(**spec["vae"])
        z, condition, image = torch.zeros(1, 4, 64, 64), torch.zeros(1, 77, 768), torch.zeros(1, 3, 512, 512)
        calls = {
            "resampled": lambda: unet(z, torch.zeros((), dtype=torch.long), condition),
            "encoded": lambda: vae.encode(image),
            "decoded": lambda: vae.decode(z),
        }
        for name, call in calls.items():
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                call()
            assert counter.get_total_flops() / 1e12 == pytest.approx(OPERATIONS[name], abs=5e-4)


def test_a_matrix_product_counts_two_operations_per_entry():
    """The peak is compared with the counter's figures, so both must count alike."""
    with FlopCounterMode(display=False) as counter:
        torch.ones(8, 8) @ torch.ones(8, 8)
    assert counter.get_total_flops() == 2 * 8**3


def test_memory_is_that_of_the_tensors_that_live_at_once(monkeypatch):
    monkeypatch.syspath_prepend(engine.__file__.removesuffix("engine.py"))
    import memory

    def program():
        kibibyte = torch.zeros(256, device="meta")
        for _ in range(3):
            kibibyte = kibibyte.view(16, 16) + 1  # the old one lives on until the sum is there
        torch.zeros(100_000)  # on the host

    assert memory.peak(program) == 2048
    assert memory.peak(lambda: [torch.empty(256, device="meta") for _ in range(5)]) == 5120
    counted = [memory.stages("tiny", batch, torch.bfloat16) for batch in (1, 2, 4)]
    for name, first in counted[0].items():
        assert counted[2][name] - counted[1][name] == pytest.approx(2 * (counted[1][name] - first), rel=0.01)

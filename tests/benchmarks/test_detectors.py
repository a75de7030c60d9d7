import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from benchmarks import detectors
from networks import TINY
from paper import training

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock(monkeypatch):
    """Every step is made once, and is said to take half a second."""

    def half_a_second(step, device, repeats):
        step()
        return 0.5

    monkeypatch.setattr(detectors, "median_seconds", half_a_second)


def test_speed_and_work_follow_from_the_time_of_a_step(clock):
    two, four = (
        detectors.measure({"swin-t": TINY["swin"]}, training(batch_size=n, amp="bfloat16"), 64, "cpu", repeats=1)
        for n in (2, 4)
    )
    assert two["dtype"] == "float32"  # on a CPU
    assert two["matrix_peak_tflops"] == pytest.approx(2 * 1024**3 / 0.5 / 1e12)
    small, large = (found["backbones"]["swin-t"] for found in (two, four))
    assert (small["iterations_per_second"], small["images_per_second"]) == (2, 4)
    assert (large["iterations_per_second"], large["images_per_second"]) == (2, 8)
    assert large["tflops"] == pytest.approx(2 * small["tflops"], rel=0.01)
    assert small["share_of_peak"] == pytest.approx(small["tflops"] * 0.5e12 / (2 * 1024**3))


def test_decoded_images_are_ready_faster():
    found = detectors.measure({"swin-t": TINY["swin"]}, training(batch_size=2), 64, "cpu", repeats=1)
    assert found["loader"]["decoded"] > found["loader"]["encoded"] > 0


@pytest.mark.end_to_end
def test_one_command_writes_numbers_and_a_picture(tmp_path):
    backbones = {f"{name}-t": backbone.model_dump(exclude_unset=True) for name, backbone in TINY.items()}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"backbones": backbones, "detectors": {"batch_size": 2}}))
    command = [sys.executable, ROOT / "benchmarks/detectors.py", "--config", tmp_path / "own.yaml", "--device", "cpu"]
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    options = ["--size", "64", "--repeats", "1", "--out", tmp_path / "out"]
    subprocess.run([str(part) for part in (*command, *options)], check=True, env=environment)
    measured = json.loads((tmp_path / "out.json").read_text())["backbones"]
    assert all(found["parameters"] > 1000 for found in measured.values()) and len(measured) == 2
    assert (tmp_path / "out.png").stat().st_size > 1000

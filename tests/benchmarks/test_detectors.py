import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from benchmarks.detectors import measure

from blemish.config.load import load

ROOT = Path(__file__).parents[2]
SETTINGS = load()["detectors"] | {"batch_size": 2}


def test_speed_and_share_of_the_peak_follow_from_the_same_measurement(tiny):
    found = measure({"backbones": {"swin-t": tiny["swin"]}, "detectors": SETTINGS}, 64, "cpu", repeats=2)
    swin = found["backbones"]["swin-t"]
    assert swin["images_per_second"] == pytest.approx(2 * swin["iterations_per_second"])
    assert swin["share_of_peak"] == pytest.approx(swin["tflops"] / found["matrix_peak_tflops"])
    assert 0 < swin["share_of_peak"] < 1
    assert found["loader"]["decoded"] > found["loader"]["encoded"] > 0
    assert found["dtype"] == "float32"


@pytest.mark.end_to_end
def test_one_command_writes_numbers_and_a_picture(tmp_path, tiny):
    config = {"backbones": {"swin-t": tiny["swin"]}, "detectors": SETTINGS}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    arguments = [
        "--config",
        tmp_path / "config.yaml",
        "--size",
        "64",
        "--repeats",
        "1",
        "--out",
        tmp_path / "out",
    ]
    command = [sys.executable, ROOT / "benchmarks/detectors.py", *arguments]
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    subprocess.run([str(part) for part in command], check=True, env=environment)
    assert json.loads((tmp_path / "out.json").read_text())["backbones"]["swin-t"]["parameters"] > 1000
    assert (tmp_path / "out.png").stat().st_size > 1000

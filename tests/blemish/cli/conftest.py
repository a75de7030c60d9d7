"""The mini world's model with a detector of random weights, and a way to call the commands."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from blemish.cli import __main__ as cli
from blemish.config import load as config

torch.set_num_threads(1)


@pytest.fixture
def blemish(monkeypatch, capsys):
    """Calls a command in this process; gives its exit code, stdout and stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["blemish", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return call


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A detector of the mini world's size whose P lies around one half."""
    from safetensors.torch import save_file

    from blemish.detection import models
    from blemish.detection.settings import Backbone

    mini = config.load([config.HOME / "config" / "mini.yaml"])
    backbone = Backbone(**mini["backbones"]["swin-t"])
    folder = tmp_path_factory.mktemp("detector")
    torch.manual_seed(0)
    state = {name: tensor.contiguous() for name, tensor in models.build(backbone).state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    (folder / "card.json").write_text(json.dumps({"backbone": mini["backbones"]["swin-t"]}))
    return folder / "weights.safetensors"


@pytest.fixture
def pictures(tmp_path):
    """Three images of three sizes with a mask each, of which the last is empty."""
    rng = np.random.default_rng(0)
    for i, (width, height) in enumerate([(64, 64), (100, 70), (80, 160)]):
        mask = np.zeros((height, width), np.uint8)
        if i < 2:
            mask[height // 3 : height // 2, width // 3 : width // 2] = 255
        for name, array in (("images", rng.integers(0, 256, (height, width, 3), dtype=np.uint8)), ("masks", mask)):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / name / f"{i}.png")
    return tmp_path / "images", tmp_path / "masks"


@pytest.fixture
def no_results(tmp_path, monkeypatch):
    """A working directory in which no run has left detectors."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("config", "resources/mini/diffusion"):
        shutil.copytree(config.HOME / name, home / name)
    monkeypatch.setattr(config, "HOME", home)
    monkeypatch.chdir(tmp_path)

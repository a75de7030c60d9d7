"""A PyTorch that cannot use the GPUs is named with its build, its CUDA and the driver."""

import json
import os

import pytest
import torch

from blemish.errors import UserError
from blemish.jobs import pytorch

OLD_DRIVER = "The NVIDIA driver on your system is too old (found version 12020).\nPlease update it."
H200 = ["NVIDIA H200", 9, 0]


@pytest.fixture(autouse=True)
def a_driver(tmp_path, monkeypatch):
    file = tmp_path / "version"
    file.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n")
    monkeypatch.setattr(pytorch, "DRIVER", file)


@pytest.fixture
def python(tmp_path):
    """An interpreter that answers what it is told to."""

    def interpreter(answer):
        path = tmp_path / "python"
        text = json.dumps(answer) if isinstance(answer, dict) else answer
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        os.chmod(path, 0o755)
        return str(path)

    return interpreter


def answer(**changes):
    said = {"version": "2.13.0+cu130", "cuda": "13.0", "error": None, "built_for": ["sm_80", "sm_90"], "gpus": [H200]}
    return said | changes


def test_the_pytorch_that_is_here_says_what_it_is():
    build = pytorch.ask()
    assert (build.version, build.cuda, build.driver) == (torch.__version__, torch.version.cuda, "535.104.05")
    assert bool(build.fault) == (not torch.cuda.is_available())


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            answer(version="2.13.0+cpu", cuda=None, error="Torch not compiled with CUDA enabled"),
            r"PyTorch 2.13.0\+cpu \(built for the CPU; NVIDIA's driver 535.104.05 is here\) cannot use the GPUs of "
            r"\S+: install a build for CUDA \(README",
        ),
        (
            answer(error=OLD_DRIVER),
            r"PyTorch 2.13.0\+cu130 \(built for CUDA 13.0; NVIDIA's driver 535.104.05 is here\) cannot .*: "
            r"The NVIDIA driver on your system is too old \(found version 12020\); install a newer driver, or a build "
            r"for a CUDA that this driver knows \(README",
        ),
        (answer(gpus=[["Tesla P100", 6, 0]]), "it has no code for Tesla P100, of compute capability 6.0; install"),
        (answer(gpus=[]), "it finds no GPU; install"),
        ({"error": "it cannot be imported: No module named 'torch'"}, r"No module named 'torch'; install it \(README"),
        ("Segmentation fault", "asking it ends with code 0"),
    ],
)
def test_what_is_wrong_and_what_to_do(python, monkeypatch, said, sentence):
    ask = pytorch.ask
    monkeypatch.setattr(pytorch, "ask", lambda: ask(python(said)))
    with pytest.raises(UserError, match=sentence):
        pytorch.require()


@pytest.mark.parametrize("built_for", [["sm_80", "sm_90"], ["sm_90a"], ["compute_80"], []])
def test_code_for_a_gpu_is_the_same_generations_or_made_by_the_driver(python, built_for):
    assert pytorch.ask(python(answer(built_for=built_for))).fault is None


def test_without_a_driver_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(pytorch, "DRIVER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pytorch.driver() is None
    assert "no driver of NVIDIA's is here" in pytorch.describe(pytorch.Build("2.13.0+cpu", None, None, "no GPU"))

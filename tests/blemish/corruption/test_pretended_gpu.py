"""Whole shards on a pretended GPU, in half precision: no mixed devices or types, no generator on the wrong side."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from paper import recipe, renoise
from pretended import PretendedGPU

from blemish.corruption import methods
from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.diffusion import Diffusion
from blemish.corruption.invert import invert_shard
from blemish.corruption.reconstruct import reconstruct_shard
from blemish.data.records import read_records


@pytest.fixture(params=[(torch.float32, torch.float32), (torch.bfloat16, torch.float16)], ids=["single", "half"])
def there(engine, request):
    """The engine with its networks on a device that is not there."""
    (tokenizer, encoder), *_ = engine.diffusion.text
    unet, encoder = (
        copy.deepcopy(network).to("meta", request.param[0]) for network in (engine.diffusion.unet, encoder)
    )
    vae = copy.deepcopy(engine.diffusion.vae).to("meta", request.param[1])
    folder = engine.diffusion.folder
    return replace(engine, diffusion=Diffusion(folder, vae, unet, [(tokenizer, encoder)], torch.device("meta")))


@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_a_shard_is_inverted_reconstructed_and_corrupted(tmp_path, there, shard, guidance):
    images, masks = shard
    inversion, clean = tmp_path / "2.safetensors", tmp_path / "clean.parquet"
    settings = renoise(early_below=30, average_late=(1, 2), reg_steps=1, pair_rolls=1)
    with PretendedGPU():
        invert_shard(images, None, inversion, there, settings, 2)
        reconstruct_shard(images, inversion, clean, there)
        for method in methods.methods() if guidance == 1 else ["proposed"]:
            out, latents = tmp_path / f"{method}.parquet", tmp_path / f"{method}.csv"
            chosen = recipe(method, step=48)
            corrupt_shard(clean, masks, inversion, out, latents, there, method, chosen, "nearest", guidance)
            assert len(list(read_records(out))) == len(pd.read_csv(latents)) == 5


@pytest.mark.parametrize(
    "fault",
    [
        lambda x: x + torch.ones(4, 8, 8),
        lambda x: torch.nn.functional.conv2d(x, torch.empty(4, 4, 3, 3, device="meta", dtype=torch.bfloat16)),
        lambda x: torch.nn.functional.linear(x, torch.empty(5, 8, device="meta", dtype=torch.float16)),
        lambda x: torch.randn(2, 2, device="meta", generator=torch.Generator()),
        lambda x: x.normal_(),
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: np.asarray(x),
    ],
)
@pytest.mark.parametrize("inference", [False, True])  # in which operators come undivided
def test_what_a_gpu_refuses_is_noticed(fault, inference):
    with torch.inference_mode(inference), PretendedGPU(), pytest.raises((RuntimeError, NotImplementedError, TypeError)):
        fault(torch.empty(1, 4, 8, 8, device="meta"))

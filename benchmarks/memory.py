"""Counts the memory that a full-size model takes on a GPU, from the shapes of all tensors; needs no GPU and no weights.

    PYTHONPATH=workflow python benchmarks/memory.py --model sdxl

Prints, per batch size, the peak of each stage in GiB, weights included. Attention is counted as the fused kernels do
it, without its matrix. Workspaces of convolutions, the allocator's gaps and CUDA itself (a few GiB) come on top.
"""

from __future__ import annotations

import argparse
import weakref
from collections.abc import Callable
from unittest.mock import patch

import engine
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from blemish.config.load import load
from blemish.corruption.diffusion import Diffusion
from blemish.corruption.renoise import invert
from blemish.corruption.sampling import resample
from blemish.corruption.schedule import Schedule
from blemish.corruption.settings import ReNoise


class Live(TorchDispatchMode):
    """Follows the bytes of all tensors that are made on the "meta" device inside the block and still live."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._count, result)
        return result

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if tensor.device.type == "meta" and storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def _forget(self, storage: int, size: int) -> None:
        self.known.discard(storage)
        self.now -= size


def peak(function: Callable) -> int:
    """Bytes of the tensors that a call makes, at their peak."""
    fused = patch.object(torch.nn.functional, "scaled_dot_product_attention", lambda q, k, v, **_: torch.empty_like(q))
    with torch.inference_mode(), fused, Live() as live:
        function()
    return live.peak


def stages(model: str, batch: int, dtype: torch.dtype) -> dict[str, int]:
    """Stage -> bytes at its peak with the weights of all networks."""
    spec = engine.MODELS[model]
    with torch.device("meta"):
        d = engine.random_model(model, "meta", dtype)
    schedule, latent = Schedule.from_config(engine.STABLE_DIFFUSION, 50), spec["side"] // d._reduction
    z = torch.empty(batch, 4, latent, latent, device="meta")
    pixels = torch.empty(batch, 3, spec["side"], spec["side"], device="meta")
    c = torch.empty(batch, spec["tokens"], spec["unet"]["cross_attention_dim"], dtype=dtype, device="meta")
    if "pooled" in spec:
        c = c, torch.empty(batch, spec["pooled"], dtype=dtype, device="meta")
    generators = [torch.Generator() for _ in range(batch)]
    calls = {
        "encoding": lambda: d._moments(pixels),
        "inversion": lambda: invert(z, c, d.denoiser, schedule, ReNoise(**load()["renoise"]), [1], generators),
        "resampling": lambda: resample(z, 1, c, d.denoiser, schedule),
        "decoding": lambda: d._pixels(z),
    }
    return {name: weights(d) + peak(call) for name, call in calls.items()}


def weights(d: Diffusion) -> int:
    """Bytes of UNet and VAE."""
    return sum(parameter.nbytes for network in (d.unet, d.vae) for parameter in network.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=engine.MODELS, default="sdxl")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64])
    chosen = parser.parse_args()
    rows = [stages(chosen.model, batch, getattr(torch, chosen.dtype)) for batch in chosen.batches]
    print("| batch |", " | ".join(rows[0]), "|")
    print("| --: |" + " --: |" * len(rows[0]))
    for batch, row in zip(chosen.batches, rows, strict=True):
        print(f"| {batch} |", " | ".join(f"{size / 2**30:.1f}" for size in row.values()), "|", flush=True)


if __name__ == "__main__":
    main()

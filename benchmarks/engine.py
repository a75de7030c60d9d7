"""Measures the corruption engine on the device at hand, writes JSON and a plot.

    PYTHONPATH=workflow python benchmarks/engine.py --model sd15 --out benchmarks/results/engine-<device>

The model is a folder in diffusers' format, or the sizes of a known one with random weights, which cost the same
time. Images are inverted to `--steps` steps and resampled from
there, with VAE encoding and decoding, as in the pipeline. Per batch size: evaluations and images per second,
the share of the matrix peak that the same run measures, peak memory, and the share of the time that the
networks take. Beside it the same images one by one in fp32, as published ReNoise code runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import hardware
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from blemish.config.load import load
from blemish.corruption.diffusion import Diffusion
from blemish.corruption.renoise import invert
from blemish.corruption.sampling import Condition, Counting, resample
from blemish.corruption.schedule import Schedule
from blemish.corruption.settings import ReNoise

STABLE_DIFFUSION = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
MODELS = {
    "sd15": {
        "repo": "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "unet": {"cross_attention_dim": 768},
        "vae": VAE,
        "side": 512,
        "tokens": 77,
    },
    "sdxl": {
        "repo": "stabilityai/stable-diffusion-xl-base-1.0",
        "unet": {
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "vae": VAE,
        "side": 1024,
        "tokens": 77,
        "pooled": 1280,
    },
    "tiny": {
        "repo": "",
        "unet": {
            "block_out_channels": (32, 64),
            "layers_per_block": 1,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": 32,
            "attention_head_dim": 4,
            "norm_num_groups": 8,
        },
        "vae": {
            "block_out_channels": (16, 32, 64),
            "down_block_types": ("DownEncoderBlock2D",) * 3,
            "up_block_types": ("UpDecoderBlock2D",) * 3,
            "latent_channels": 4,
            "norm_num_groups": 8,
        },
        "side": 64,
        "tokens": 24,
    },
}


class Bench:
    """One model at one precision, with its inputs.

    Attributes:
        repo: what a config names the model, for the forecast.
        side: pixels of an image.
    """

    def __init__(self, model: str, device: str, dtype: torch.dtype):
        self.device, self.dtype = device, dtype
        if model in MODELS:
            self.diffusion = random_model(model, device, dtype)
            self.schedule = Schedule.from_config(STABLE_DIFFUSION, 50)
            self.spec, self.repo, self.side = MODELS[model], MODELS[model]["repo"], MODELS[model]["side"]
        else:
            self.diffusion = Diffusion.load(model, device, dtype)
            self.schedule = self.diffusion.schedule(50)
            self.spec, self.repo, self.side = None, f"file:{model}", self.diffusion.vae.config.sample_size

    def condition(self, batch: int) -> Condition:
        if self.spec is None:
            return self.diffusion.embed(["a face and a hand"] * batch)
        generator = torch.Generator().manual_seed(0)
        width = self.spec["unet"]["cross_attention_dim"]
        rows = torch.randn(1, self.spec["tokens"], width, generator=generator).expand(batch, -1, -1)
        embedding = rows.to(self.device, self.dtype)
        if "pooled" not in self.spec:
            return embedding
        return embedding, torch.zeros(batch, self.spec["pooled"], device=self.device, dtype=self.dtype)

    def images(self, batch: int) -> np.ndarray:
        shape = (batch, self.side, self.side, 3)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def synchronize(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()

    def clock(self, function: Callable) -> tuple[float, object]:
        """Seconds that a call takes, the device's work included, and its result."""
        self.synchronize()
        begin = time.perf_counter()
        result = function()
        self.synchronize()
        return time.perf_counter() - begin, result

    @contextmanager
    def stopwatch(self):
        """Yields a function that gives the seconds spent inside UNet and VAE since the block began."""
        spans, handles, cuda = [], [], self.device.startswith("cuda")

        def mark(*_) -> None:
            if cuda:  # events, because waiting for the device would change what is measured
                event = torch.cuda.Event(enable_timing=True)
                event.record()
                spans.append(event)
            else:
                spans.append(time.perf_counter())

        def spent() -> float:
            self.synchronize()
            pairs = zip(spans[::2], spans[1::2], strict=True)
            return sum(a.elapsed_time(b) / 1000 if cuda else b - a for a, b in pairs)

        for network in (self.diffusion.unet, self.diffusion.vae.encoder, self.diffusion.vae.decoder):
            handles += [network.register_forward_pre_hook(mark), network.register_forward_hook(mark)]
        try:
            yield spent
        finally:
            for handle in handles:
                handle.remove()


def random_model(model: str, device: str, dtype: torch.dtype) -> Diffusion:
    """A model of random weights, in the precisions of `Diffusion.load`."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    spec = MODELS[model]
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**spec["unet"]).eval().requires_grad_(False)
    vae = AutoencoderKL(**spec["vae"]).eval().requires_grad_(False)
    single = dtype == torch.float32 or "pooled" in spec
    for network, kind in ((unet, dtype), (vae, torch.float32 if single else torch.float16)):
        torch.nn.Module.to(network, device, kind, memory_format=torch.channels_last)
    return Diffusion(Path(model), vae, unet, [], torch.device(device))


def matrix_peak(device: str, dtype: torch.dtype) -> float:
    """The best TFLOP/s of square matrix products, in `dtype`."""
    best = 0.0
    for n in (4096, 8192, 16384) if device.startswith("cuda") else (512, 1024, 2048):
        a, b = torch.randn(2, n, n, device=device, dtype=dtype)
        for _ in range(5):
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            begin, rounds = time.perf_counter(), 10 if device.startswith("cuda") else 1
            for _ in range(rounds):
                a @ b
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            best = max(best, rounds * 2 * n**3 / (time.perf_counter() - begin))
    return best / 1e12


def flops(bench: Bench) -> dict[str, float]:
    """TFLOP of one sample's UNet evaluation, VAE encoding and decoding."""
    d, images = bench.diffusion, bench.images(1)
    z = d.encode(images, [torch.Generator()])
    calls = {
        "unet": lambda: d.denoiser(z, 1, bench.condition(1)),
        "encode": lambda: d.encode(images, [torch.Generator()]),
        "decode": lambda: d.decode(z),
    }
    counted = {}
    for name, call in calls.items():
        with FlopCounterMode(display=False) as counter:
            call()
        counted[name] = counter.get_total_flops() / 1e12
    return counted


@torch.inference_mode()
def one_round(bench: Bench, batch: int, steps: int) -> tuple[dict[str, float], int, np.ndarray]:
    """A batch through encoding, regularised inversion, resampling and decoding.

    Returns:
        Seconds by stage, with those inside the networks; evaluations of the inversion; the images that come
        out.
    """
    d, images, condition = bench.diffusion, bench.images(batch), bench.condition(batch)
    generators = [torch.Generator().manual_seed(i) for i in range(batch)]
    counting, taken = Counting(d.denoiser), {}
    with bench.stopwatch() as spent:
        taken["encoding"], z0 = bench.clock(lambda: d.encode(images, generators))
        taken["inversion"], kept = bench.clock(
            lambda: invert(z0, condition, counting, bench.schedule, ReNoise(**load()["renoise"]), [steps], generators)
        )
        taken["resampling"], z = bench.clock(
            lambda: resample(kept[steps], steps, condition, d.denoiser, bench.schedule)
        )
        taken["decoding"], pixels = bench.clock(lambda: d.decode(z))
        total = sum(taken.values())
        taken |= {"inside": spent(), "total": total}
    return taken, counting.samples, pixels


def measure(
    bench: Bench, batch: int, steps: int, repeats: int, peak: float, cost: dict[str, float]
) -> tuple[dict[str, float], np.ndarray]:
    """The figures of one batch size, from the best of some rounds after one to warm up."""
    one_round(bench, batch, steps)
    if bench.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    rounds = [one_round(bench, batch, steps) for _ in range(repeats)]
    taken, inversion, pixels = min(rounds, key=lambda r: r[0]["total"])
    resampling = batch * steps
    work = batch * (cost["encode"] + cost["decode"]) + (inversion + resampling) * cost["unet"]
    figures = {
        "batch": batch,
        "seconds": taken["total"],
        "images_per_s": batch / taken["total"],
        "encoded_per_s": batch / taken["encoding"],
        "decoded_per_s": batch / taken["decoding"],
        "inversion_evaluations_per_s": inversion / taken["inversion"],
        "resampling_evaluations_per_s": resampling / taken["resampling"],
        "inversion_share_of_peak": inversion * cost["unet"] / taken["inversion"] / peak,
        "resampling_share_of_peak": resampling * cost["unet"] / taken["resampling"] / peak,
        "share_of_peak": work / taken["total"] / peak,
        "share_inside_networks": taken["inside"] / taken["total"],
        "memory_gb": _memory(bench.device),
    }
    return figures, pixels


def _memory(device: str) -> float:
    """Peak memory: of the device, or of this process on the CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(model: str, device: str, dtype: str, batches: list[int], steps: int, repeats: int) -> dict:
    """The whole measurement; see the module's text."""
    kind = getattr(torch, dtype)
    peak = matrix_peak(device, kind)
    single = Bench(model, device, torch.float32)
    cost = flops(single)
    # The published code's way: one image at a time, single precision, the default memory layout.
    single.diffusion.unet.to(memory_format=torch.contiguous_format)
    baseline, reference = measure(single, 1, steps, repeats, peak, cost)
    del single
    bench = Bench(model, device, kind)
    sweep, agreement = [], None
    for batch in batches:
        row, pixels = measure(bench, batch, steps, repeats, peak, cost)
        if agreement is None:
            error = np.square(pixels[0].astype(np.float64) - reference[0]).mean()
            agreement = float(10 * np.log10(255**2 / error)) if error else None
        sweep.append(row | {"against_single_fp32": row["images_per_s"] / baseline["images_per_s"]})
        print(json.dumps(sweep[-1]), flush=True)
    return {
        "kind": device.split(":")[0],
        "device": hardware.name(device),
        "torch": torch.__version__,
        "model": model,
        "repo": bench.repo,
        "dtype": dtype,
        "image_side": bench.side,
        "inversion_steps": steps,
        "matrix_peak_tflops": peak,
        "tflop_per_sample": cost,
        "single_fp32": baseline,
        "psnr_against_fp32_db": agreement,
        "sweep": sweep,
    }


def plot(result: dict, path: Path) -> None:
    """Images per second and shares of the matrix peak over the batch size."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    sizes = [row["batch"] for row in result["sweep"]]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(sizes, [row["images_per_s"] for row in result["sweep"]], "o-", label=f"batched, {result['dtype']}")
    left.axhline(result["single_fp32"]["images_per_s"], color="gray", ls="--", label="one by one, float32")
    left.set(xlabel="batch", ylabel="images / s", xscale="log", ylim=(0, None))
    for key, label in {"inversion": "regularised inversion", "resampling": "resampling"}.items():
        shares = [100 * row[f"{key}_share_of_peak"] for row in result["sweep"]]
        right.plot(sizes, shares, "o-", label=label)
    right.set(xlabel="batch", ylabel="% of the measured matrix peak", xscale="log", ylim=(0, None))
    for axes in (left, right):
        axes.set_xticks(sizes, sizes)
        axes.minorticks_off()
        axes.legend()
    figure.suptitle(f"{result['model']} at {result['image_side']} on {result['device']}")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix; .json and .png are added")
    parser.add_argument("--model", default="sd15" if cuda else "tiny", help=f"{', '.join(MODELS)}, or a folder")
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--dtype", default="bfloat16" if cuda else "float32")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 32, 64] if cuda else [1, 8, 32])
    parser.add_argument("--steps", type=int, default=10, help="inversion steps (the paper: 10)")
    parser.add_argument("--repeats", type=int, default=2)
    chosen = parser.parse_args(arguments)
    if chosen.model not in MODELS and not Path(chosen.model).is_dir():
        parser.error(f"--model {chosen.model} is neither a folder nor one of {', '.join(MODELS)}")
    result = run(chosen.model, chosen.device, chosen.dtype, chosen.batches, chosen.steps, chosen.repeats)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    plot(result, chosen.out.with_suffix(".png"))


if __name__ == "__main__":
    main()

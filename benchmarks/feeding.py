"""Measures how fast the host feeds a GPU that takes no time: images a second through `corrupt_shard`.

UNet, VAE and text encoder are replaced by ones that answer at once, in the right shapes; all else is the job's own:
reading and decoding records, masks on the latent grid, labels, encoding PNG, writing. Then the same images' strength
is measured, as its own job does. Prints one line of JSON per number of threads; where other work shares the machine,
the processor's time of an image (`cpu_ms`) says more than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import hardware
import numpy as np
import torch

from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.diffusion import Diffusion
from blemish.corruption.engine import Engine
from blemish.corruption.latents import save_latents
from blemish.corruption.schedule import Schedule
from blemish.corruption.settings import RECIPES
from blemish.corruption.strength import measure_shard
from blemish.data.records import Record, write_records

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
REDUCTION = 8
DIFFERENT = 16  # images; a set repeats them


class Instant(Diffusion):
    """A model whose networks answer at once: what comes out of them was made before."""

    digest = "instant"

    def __init__(self, images: np.ndarray):
        super().__init__(Path(), None, None, [], torch.device("cpu"))
        self.images = images

    def embed(self, prompts):
        return torch.zeros(len(prompts), 1, 1)

    def denoiser(self, z, t, c):
        return torch.zeros_like(z)

    def decode(self, z):
        return self.images[np.arange(len(z)) % len(self.images)]


def photographs(count: int, side: int) -> np.ndarray:
    """(count, side, side, 3) uint8 with the spectrum of photographs, and some grain: PNG takes two bytes a pixel."""
    random = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) + 1 / side
    spectrum = np.fft.rfft2(random.normal(size=(count, 3, side, side))) / frequency**1.5
    pixels = np.fft.irfft2(spectrum, s=(side, side))
    pixels = 128 + 45 * pixels / pixels.std((2, 3), keepdims=True) + random.normal(size=pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def regions(count: int, side: int) -> np.ndarray:
    """(count, side, side) bool: four discs each, as artifacts are marked."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:side, :side]
    discs = random.integers(0, side, (count, 4, 2))
    return (np.hypot(y - discs[..., :1, None], x - discs[..., 1:, None]) < side / 16).any(1)


def shard(folder: Path, count: int, side: int) -> tuple[Path, Path, Path]:
    """Writes images, masks and an inversion, of `count` images; returns the files."""
    images, masks = photographs(DIFFERENT, side), regions(DIFFERENT, side)
    files = folder / "clean.parquet", folder / "masks.parquet", folder / "inversion.safetensors"
    ids, cells = [f"image-{i}" for i in range(count)], side // REDUCTION
    write_records(files[0], (Record(name, images[i % DIFFERENT], None) for i, name in enumerate(ids)))
    write_records(files[1], (Record(name, None, masks[i % DIFFERENT]) for i, name in enumerate(ids)))
    z = torch.zeros(count, 4, cells, cells)
    save_latents(files[2], ids, {0: z, 10: z.clone()}, torch.zeros(count, 1, dtype=torch.uint8), "instant", 0)
    return files


def feed(clean: Path, masks: Path, inversion: Path, folder: Path, engine: Engine) -> dict[str, float]:
    """What a shard takes, in seconds by the clock and of processors: to corrupt it, and to measure its strength."""
    out, latents = folder / "corrupted.parquet", folder / "latents.csv"
    recipe = RECIPES["proposed"](method="proposed", step=40)
    times = [clocks()]
    corrupt_shard(clean, masks, inversion, out, latents, engine, "proposed-40", recipe, "nearest", 1.0)
    times.append(clocks())
    measure_shard(clean, out, latents, folder / "strength.csv")
    times.append(clocks())
    spent = np.diff(times, axis=0).ravel().tolist()
    return dict(zip(("corrupt", "corrupt_cpu", "measure", "measure_cpu"), spent, strict=True))


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=2, help="the fastest counts: other work only delays")
    chosen = parser.parse_args(arguments)
    schedule = Schedule.from_config(STABLE_DIFFUSION, 50)
    diffusion = Instant(photographs(DIFFERENT, chosen.side)[::-1].copy())
    diffusion.schedule = lambda steps: schedule
    engine = Engine(diffusion, 50, 0, chosen.batch)
    with TemporaryDirectory() as folder:
        files = shard(Path(folder), chosen.images, chosen.side)
        torch.set_num_threads(1)
        for threads in chosen.threads:
            os.environ["OMP_NUM_THREADS"] = str(threads)  # as blemish.jobs.run does for a job
            rounds = [feed(*files, Path(folder), engine) for _ in range(chosen.repeats)]
            best = {name: min(each[name] for each in rounds) / chosen.images for name in rounds[0]}
            result = {
                "device": hardware.name("cpu").split(",")[0],
                "cores": len(os.sched_getaffinity(0)),
                "threads": threads,
                "image_side": chosen.side,
                "corrupted_per_s": 1 / best["corrupt"],
                "cpu_ms_to_corrupt": 1000 * best["corrupt_cpu"],
                "measured_per_s": 1 / best["measure"],
                "cpu_ms_to_measure": 1000 * best["measure_cpu"],
            }
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

"""How far images made in half precision are from those made in float32: PSNR, on the device at hand.

    PYTHONPATH=workflow python benchmarks/precision.py --results results/mini --diffusion resources/mini/diffusion

Takes the first images of a finished run that have a region, inverts them to each step, corrupts them there by
`proposed` and resamples them, in every precision with the same random numbers. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from blemish.config.load import load
from blemish.corruption.engine import Engine
from blemish.corruption.sequence import corrupt_images
from blemish.corruption.settings import RECIPES, ReNoise
from blemish.data.records import join_masks, read_records, write_records

STEPS = 50
DTYPES = ("float32", "bfloat16", "float16")


def make(drawn: Path, engine: Engine, steps: list[int], work: Path) -> dict[int, list[np.ndarray]]:
    """The corrupted images (h, w, 3) uint8 by the number of steps inverted."""
    images, renoise = {}, ReNoise(**load()["renoise"])
    for n in steps:
        recipe = RECIPES["proposed"](method="proposed", step=engine.steps - n)
        corrupted, _ = corrupt_images(drawn, drawn, work, engine, renoise, "proposed", recipe, "any", 1.0)
        images[n] = [record.image for record in read_records(corrupted)]
    return images


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two (h, w, 3) uint8 images; infinite if they are the same."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="a finished run")
    parser.add_argument("--diffusion", type=Path, required=True, help="a model in diffusers' format")
    parser.add_argument("--backbone", default="swin-t", help="whose regions")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--inverted", type=int, nargs="+", default=[5, 10, 20], help="steps")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args()
    pool, regions = (chosen.results / kind / "hps" for kind in ("pools", "regions"))
    joined = join_masks(pool / "0.parquet", regions / chosen.backbone / "0.parquet")
    with TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn.parquet"
        write_records(drawn, islice((record for record in joined if record.mask.any()), chosen.images))
        made = {}
        for dtype in DTYPES:
            engine = Engine.load(chosen.diffusion, STEPS, 0, chosen.images, chosen.device, dtype)
            made[dtype] = make(drawn, engine, chosen.inverted, Path(folder))
    print("| precision | steps inverted | PSNR to float32, median | lowest |")
    print("| :-- | --: | --: | --: |")
    for dtype in DTYPES[1:]:
        for n in chosen.inverted:
            values = [psnr(a, b) for a, b in zip(made["float32"][n], made[dtype][n], strict=True)]
            print(f"| {dtype} | {n} | {np.median(values):.1f} dB | {min(values):.1f} dB |")


if __name__ == "__main__":
    main()

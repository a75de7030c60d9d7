"""How fast detectors train on this machine, and how much of its matrix peak that is.

    PYTHONPATH=workflow python benchmarks/detectors.py --config config/config.yaml --out benchmarks/results/detectors

writes OUT.json and OUT.png: per backbone iterations and images a second, TFLOP/s, the share of what a large
matrix product reaches in the same precision; and how many images a second one core makes ready for training.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import hardware
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from blemish.config.check import read
from blemish.config.load import merge
from blemish.data.digests import digest
from blemish.data.records import Record, write_records
from blemish.detection import models
from blemish.detection.dataset import IN_MEMORY, BatchSampler, RecordsDataset
from blemish.detection.settings import Detectors
from blemish.detection.train import optimisation


def measure(configuration: dict, size: int, device: str, repeats: int) -> dict:
    """Measures all backbones of a configuration on images of size x size.

    Returns:
        {"kind", "device", "dtype", "size", "batch_size", "matrix_peak_tflops", "backbones": {name: {...}},
        "loader": {...}}
    """
    settings = Detectors(**configuration["detectors"])
    if device == "cpu":
        settings = settings.model_copy(update={"amp": None})
    amp = settings.amp
    peak = matrix_peak(device, amp, side=8192 if device == "cuda" else 1024)
    with tempfile.TemporaryDirectory() as folder:
        shard = write_noise(Path(folder) / "noise.parquet", 2 * settings.batch_size, size)
        dataset = RecordsDataset([shard])
        loader = {
            "decoded": images_per_second(dataset, settings.batch_size),
            "encoded": images_per_second(RecordsDataset([shard], memory=0), settings.batch_size),
            "decoded_fit": IN_MEMORY // (4 * size * size),
        }
    backbones = {
        name: measure_training(backbone, dataset, settings, device, repeats, peak)
        for name, backbone in configuration["backbones"].items()
    }
    return {
        "kind": device,
        "device": hardware.name(device),
        "dtype": amp or "float32",
        "size": size,
        "batch_size": settings.batch_size,
        "matrix_peak_tflops": peak / 1e12,
        "backbones": backbones,
        "loader": loader,
    }


def measure_training(
    backbone: dict,
    dataset: RecordsDataset,
    settings: Detectors,
    device: str,
    repeats: int,
    peak: float,
) -> dict:
    """Times whole optimisation steps on one batch: transfer, forward, backward, AdamW."""
    model = models.build(backbone).to(device).train()
    wrapper = optimisation(model, settings)
    keys = next(iter(BatchSampler(len(dataset), settings.batch_size, 0, 0, 1)))
    items = [dataset[key] for key in keys]
    batch = {name: [item[name] for item in items] for name in items[0]}
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(**model.data_preprocessor(batch, training=True), mode="loss")
    seconds = median_seconds(lambda: model.train_step(batch, wrapper), device, repeats)
    # Backwards costs twice forwards. Counting it would take depthwise convolutions for dense ones.
    flops = 3 * counter.get_total_flops() / seconds
    return {
        "network": digest(backbone["config"], backbone["overrides"]),
        "parameters": models.count_parameters(model),
        "iterations_per_second": 1 / seconds,
        "images_per_second": settings.batch_size / seconds,
        "tflops": flops / 1e12,
        "share_of_peak": flops / peak,
    }


def matrix_peak(device: str, amp: str | None, side: int) -> float:
    """Floating point operations a second of a product of two square matrices."""
    a = torch.randn(side, side, device=device, dtype=getattr(torch, amp or "float32"))
    return 2 * side**3 / median_seconds(lambda: a @ a, device, 10)


def images_per_second(dataset: RecordsDataset, batch_size: int) -> float:
    """How fast one core makes images ready: decoded where they are not, cropped, mirrored, as tensors."""
    started, count = time.perf_counter(), 0
    for batch in BatchSampler(len(dataset), batch_size, 0, 0, 1000):
        for key in batch:
            dataset[key]
        count += len(batch)
        if time.perf_counter() - started > 1:
            break
    return count / (time.perf_counter() - started)


def median_seconds(step: Callable[[], object], device: str, repeats: int) -> float:
    times = []
    for _ in range(repeats + 3):  # the first ones choose kernels and allocate
        started = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return float(np.median(times[3:]))


def write_noise(path: Path, count: int, size: int) -> Path:
    """Smooth noise, which PNG compresses about as well as photographs."""
    rng = np.random.default_rng(0)

    def image() -> np.ndarray:
        coarse = rng.integers(0, 240, (size // 8, size // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        return coarse + rng.integers(0, 16, coarse.shape, dtype=np.uint8)

    write_records(path, (Record(f"{i}", image(), rng.random((size, size)) < 0.1) for i in range(count)))
    return path


def draw(result: dict, path: Path) -> None:
    """Two bars per backbone: what is reached, and the matrix peak."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    names = list(result["backbones"])
    reached = [result["backbones"][name]["tflops"] for name in names]
    bars = axes.bar(names, reached, color="tab:blue")
    axes.bar_label(bars, [f"{result['backbones'][n]['images_per_second']:.0f} images/s" for n in names])
    axes.axhline(result["matrix_peak_tflops"], color="k", ls="--", label="matrix product")
    axes.set(ylabel="TFLOP/s", title=f"Training, {result['size']} pixels, {result['dtype']}\n{result['device']}")
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, nargs="+", required=True, help="a config and its overlays")
    parser.add_argument("--size", type=int, default=512, help="pixels, a multiple of 32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True, help="without suffix")
    arguments = parser.parse_args()
    configuration = merge(map(read, arguments.config))
    result = measure(configuration, arguments.size, arguments.device, arguments.repeats)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    draw(result, arguments.out.with_suffix(".png"))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

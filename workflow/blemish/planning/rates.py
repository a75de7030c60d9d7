"""How fast a device does the work that `workload` counts: measured where there are figures, else a stated aim."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blemish.data.digests import digest

PEAKS = {
    "NVIDIA H200": 788,  # bf16 matrix product, measured; no benchmark file holds it yet
    "NVIDIA RTX A5000": 111,  # data sheet: 222 with sparsity, half of it without. The paper's card
}
"""TFLOP/s of devices without figures of their own."""

OPERATIONS = {
    "inverted": 0.803,
    "resampled": 0.803,
    "encoded": 1.117,
    "decoded": 2.515,
    "trained": 1.42,
    "segmented": 0.471,
}
"""TFLOP by PyTorch's counter: Stable Diffusion 1.5 and UPerNet (Swin-T; ConvNeXt-T differs by 1 %), 512 pixels."""

# ASSUME: the shares that the corruption engine and the training aim at; the VAE keeps up with the UNet, and a
# forward pass with training.
SHARES = {"inverted": 0.45, "resampled": 0.55, "encoded": 0.55, "decoded": 0.55, "trained": 0.4, "segmented": 0.4}

# ASSUME: the GPU's, with a model of 4 GB to load. The CPU's: measured on the mini world.
START = {"cuda": 20, "cpu": 10}
"""Seconds until a job has imported its libraries and loaded its networks."""

GPU_MEMORY = {512: (2.1, 0.376), 1024: (8.1, 3.0)}
"""Resolution -> GiB of a GPU that corrupting takes at a batch of one, and for each image more: its largest stage, the
VAE's decoder. Counted by benchmarks/memory.py for Stable Diffusion 1.5 and SDXL, bfloat16."""

CUDA_MEMORY = 2.0  # ASSUME: GiB of CUDA itself, workspaces of convolutions and the allocator's gaps


# ASSUME: other processors are as fast as the AMD EPYC on which benchmarks/feeding.py measured it.
WRITING = 0.08
"""Seconds of a CPU thread to read, label and encode an image of 512 pixels."""


@dataclass
class Rates:
    """How fast one device is: per second, by the quantities of `workload.work`; and where that is from."""

    device: str
    per_second: dict[str, float] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)  # "engine", "training" -> a sentence


def all_rates(config: Mapping, benchmarks: Mapping[str, Mapping]) -> list[Rates]:
    """The devices that the config's jobs could run on: those with fitting figures, and for GPUs those of PEAKS.

    Args:
        benchmarks: file name -> what benchmarks/engine.py or benchmarks/detectors.py wrote.
    """
    peaks: dict[str, float | None] = dict(PEAKS) if config["device"] == "cuda" else {}
    found = {file: result for file, result in benchmarks.items() if result.get("kind") == config["device"]}
    for result in found.values():
        peaks[result["device"]] = result["matrix_peak_tflops"]
    devices = []
    for device, peak in peaks.items():
        rates = Rates(device, {"started": 1 / START[config["device"]], "written": written(config)})
        if config["device"] == "cuda":
            _aim(rates, peak, config)
        for file, result in found.items():
            measured = _measured(result, config) if result["device"] == device else {}
            if measured:
                rates.per_second |= measured
                engine = "sweep" in result
                what = "inversion, resampling and VAE" if engine else "training"
                rates.origins["engine" if engine else "training"] = f"{what} as measured: {file}"
        devices.append(rates)
    return [rates for rates in devices if rates.origins]


def written(config: Mapping) -> float:
    """Images a second that a job which makes images reads, labels and encodes in its threads."""
    return config["corruption"]["threads"] / (WRITING * (config["resolution"] / 512) ** 2)


def _aim(rates: Rates, peak: float, config: Mapping) -> None:
    # ASSUME: operations grow with the pixels; attention's grow faster.
    pixels = (config["resolution"] / 512) ** 2
    speed = {name: SHARES[name] * peak / (OPERATIONS[name] * pixels) for name in OPERATIONS}
    for name in ("trained", "segmented"):
        rate = speed.pop(name)
        speed |= {f"{name}/{backbone}": rate for backbone in config["backbones"]}
    rates.per_second |= speed
    rates.origins = {
        "engine": f"inversion at {SHARES['inverted']:.0%}, resampling and VAE at {SHARES['resampled']:.0%} of "
        f"{peak:.0f} TFLOP/s: aims, not measured",
        "training": f"training at {SHARES['trained']:.0%} of {peak:.0f} TFLOP/s: an aim, not measured",
    }


def _measured(result: Mapping, config: Mapping) -> dict[str, float]:
    """The rates that a benchmark holds for the configured networks; none if it measured others."""
    if "sweep" in result:
        same = (config["sources"]["diffusion"]["repo"], config["resolution"], config["dtype"])
        if (result["repo"], result["image_side"], result["dtype"]) != same:
            return {}
        held = [row for row in result["sweep"] if row["batch"] <= config["corruption"]["batch_size"]]
        best = max(held or result["sweep"], key=lambda row: row["images_per_s"])
        return {
            "inverted": best["inversion_evaluations_per_s"],
            "resampled": best["resampling_evaluations_per_s"],
            "encoded": best["encoded_per_s"],
            "decoded": best["decoded_per_s"],
        }
    detectors = config["detectors"]
    same = (config["resolution"], detectors["batch_size"], detectors["amp"] or "float32")
    if (result["size"], result["batch_size"], result["dtype"]) != same:
        return {}
    speed = {}
    for name, backbone in config["backbones"].items():
        figures = result["backbones"].get(name)
        if figures and figures["network"] == digest(backbone["config"], backbone["overrides"]):
            speed[f"trained/{name}"] = figures["images_per_second"]
            speed[f"segmented/{name}"] = 3 * figures["images_per_second"]  # ASSUME: backwards costs twice forwards
    return speed


def gpu_memory(resolution: int, batch_size: int) -> float | None:
    """GiB of a GPU that one corruption job takes; None for a resolution that nobody has counted."""
    if resolution not in GPU_MEMORY:
        return None
    one, more = GPU_MEMORY[resolution]
    return one + more * (batch_size - 1) + CUDA_MEMORY


def hours(done: Mapping[str, float], rates: Rates) -> float:
    """Hours that one device takes for a job; NaN if the speed of a part of it is unknown.

    Images are written while the device works on the next: the slower of the two counts.
    """
    seconds = {
        name: amount / rates.per_second.get(name, math.nan)
        for name, amount in done.items()
        if amount and name != "bytes"
    }
    started, written = seconds.pop("started", 0), seconds.pop("written", 0)
    return (started + max(sum(seconds.values()), written)) / 3600  # max: NaN if the first is


def duration(stages: Mapping[str, Sequence[Counter]], rates: Rates, devices: int) -> float:
    """Hours until all is done on so many devices: stage after stage, a free device takes the next job."""
    total = 0.0
    for jobs in stages.values():
        free = [0.0] * devices
        for job in jobs:
            heapq.heapreplace(free, free[0] + hours(job, rates))
        total += max(free)
    return total

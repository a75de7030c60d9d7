"""`python -m blemish.forecast [overlay ...]` prints what a run will cost: GPU-hours by stage, and disk space.

The amounts are counted from the graph that Snakemake would run (`blemish.workload`). The speed of a device is
measured by `benchmarks/engine.py` and `benchmarks/detectors.py`, where benchmarks/results/ holds their figures for
the configured networks, and else an aim: a share of the device's matrix peak. The forecast says which it is.
"""

from __future__ import annotations

import argparse
import heapq
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table
from snakemake.utils import update_config

from blemish import reference, workload
from blemish.inversion import ReNoise
from blemish.job import UserError, explain
from blemish.schedule import Schedule
from blemish.shards import digest
from blemish.workload import STAGES, Sizes

BENCHMARKS = reference.ROOT / "benchmarks" / "results"

PEAKS = {
    "NVIDIA H200": 788,  # bf16 matrix product, measured
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

START = {"cuda": 20, "cpu": 10}
"""Seconds until a job has imported its libraries and loaded its networks. The CPU's: measured on the mini world."""
# ASSUME: the GPU's, with a model of 4 GB to load.

AT_ONCE = {"cuda": (1, 8), "cpu": (1, 2)}

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
REDUCTION = 8  # Stable Diffusion's pixels to a latent cell, per side
MODEL_BYTES = 4_265_000_000  # Stable Diffusion 1.5: UNet, VAE and text encoder in float32
DETECTOR_BYTES = 240_000_000  # UPerNet, 60 M parameters in float32
IMAGES = {"train": 7801, "test": 500}  # §4.1, until a run has counted them

# ASSUME: bytes a pixel of PNG, until a run has written some: photographs, masks.
PNG = 1.7
PNG_MASK = 1 / 64


@dataclass
class Rates:
    """How fast one device is: per second, by the quantities of `workload.work`; and where that is from."""

    device: str
    per_second: dict[str, float] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)  # "engine", "training" -> a sentence


def load(overlays: Iterable[str | Path]) -> dict:
    """The config as Snakemake merges it.

    Raises:
        UserError: a file is missing or is no YAML.
    """
    config: dict = {}
    for path in [*(reference.ROOT / "config" / f"{name}.yaml" for name in reference.FILES), *overlays]:
        try:
            update_config(config, yaml.safe_load(Path(path).read_text()) or {})
        except yaml.YAMLError as error:
            raise UserError(f"{path} is no YAML ({error}): correct it.") from error
    return config


def graph_files(targets: Sequence[str], overlays: Sequence[str | Path]) -> list[str]:
    """All files that the graph of the targets makes, by Snakemake itself.

    Raises:
        UserError: Snakemake refuses the config.
    """
    options = ["--configfile", *map(str, overlays)] if overlays else []
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(reference.ROOT / "Snakefile"), "--summary"]
    done = subprocess.run([*command, *targets, *options], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"Snakemake lists no graph for this config: {done.stderr.strip()}")
    return [line.split("\t")[0] for line in done.stdout.splitlines()[1:]]


def model_folder(config: Mapping) -> Path | None:
    """Where the diffusion model lies, if it is here already."""
    repo = config["sources"]["diffusion"]["repo"]
    own = Path(repo.removeprefix("file:")) if repo.startswith("file:") else None
    fetched = Path(config["pathvars"]["results"]) / "sources" / "diffusion"
    return next((folder for folder in (own, fetched) if folder and folder.exists()), None)


def trajectory(config: Mapping) -> tuple[ReNoise, Schedule]:
    """The inversion's settings and schedule; without the model here, Stable Diffusion's."""
    settings = {key: value for key, value in config["inversion"].items() if key not in ("steps", "stride")}
    folder = model_folder(config)
    scheduler = json.loads((folder / "scheduler/scheduler_config.json").read_text()) if folder else STABLE_DIFFUSION
    return ReNoise(**settings), Schedule.from_config(scheduler, config["inversion"]["steps"])


def sizes(config: Mapping) -> Sizes:
    """Numbers of images and bytes: those of the results where a run has made some, else the paper's and ours."""
    results, pixels = Path(config["pathvars"]["results"]), config["resolution"] ** 2
    images = {name: _rows([results / f"sets/richhf-{name}.parquet"]) or IMAGES[name] for name in IMAGES}
    images["100"] = config["subset"]["count"]
    images["richhf-7701"] = images["train"] - images["100"]
    images["hps"] = config["pools"]["hps"]["count"]
    folder = model_folder(config)
    reduction = 2 ** (
        len(json.loads((folder / "vae/config.json").read_text())["block_out_channels"]) - 1 if folder else 3
    )
    weights = _bytes(results.glob("detectors/*/human/*/*/weights.safetensors"))
    records = config["sources"]["richhf"]["records"].values()
    return Sizes(
        images=images,
        image=_bytes_per_row(results.glob("pools/*/*.parquet")) or PNG * pixels,
        mask=_bytes_per_row(results.glob("regions/*/*/*.parquet")) or PNG_MASK * pixels,
        latent=(config["resolution"] // reduction) ** 2,
        weights=weights[0] if weights else DETECTOR_BYTES,
        sources=sum(_bytes(folder.rglob("*")) if folder else [MODEL_BYTES])
        + sum(_bytes(results.glob("sources/segmentation/*")) or [DETECTOR_BYTES] * len(config["backbones"]))
        + sum(_bytes(results.glob("sources/richhf/*.tfrecord")) or [record["bytes"] or 0 for record in records]),
    )


def _rows(paths: Iterable[Path]) -> int:
    return sum(pq.read_metadata(path).num_rows for path in paths if path.exists())


def _bytes(paths: Iterable[Path]) -> list[int]:
    return [path.stat().st_size for path in paths if path.is_file()]


def _bytes_per_row(paths: Iterable[Path]) -> float:
    paths = list(paths)
    return sum(_bytes(paths)) / max(_rows(paths), 1)


def all_rates(config: Mapping, benchmarks: Mapping[str, Mapping]) -> list[Rates]:
    """The devices that the config's jobs could run on: those with fitting figures, and for GPUs those of PEAKS.

    Args:
        benchmarks: file name -> what benchmarks/engine.py or benchmarks/detectors.py wrote.
    """
    peaks: dict[str, float | None] = dict(PEAKS) if config["device"] == "cuda" else {}
    found = {file: result for file, result in benchmarks.items() if result["kind"] == config["device"]}
    for result in found.values():
        peaks[result["device"]] = result["matrix_peak_tflops"]
    devices = []
    for device, peak in peaks.items():
        rates = Rates(device, {"started": 1 / START[config["device"]]})
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
        names = {
            "inverted": "inversion_evaluations_per_s",
            "resampled": "resampling_evaluations_per_s",
            "encoded": "encoded_per_s",
            "decoded": "decoded_per_s",
        }
        return {name: best[key] for name, key in names.items()}
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


def hours(done: Mapping[str, float], rates: Rates) -> float:
    """Hours that one device takes for some work; NaN if the speed of a part of it is unknown."""
    timed = ((amount, rates.per_second.get(name, float("nan"))) for name, amount in done.items() if name != "bytes")
    return sum(amount / rate for amount, rate in timed if amount) / 3600


def duration(stages: Mapping[str, Sequence[Counter]], rates: Rates, devices: int) -> float:
    """Hours until all is done on so many devices: stage after stage, a free device takes the next job."""
    total = 0.0
    for jobs in stages.values():
        free = [0.0] * devices
        for job in jobs:
            heapq.heapreplace(free, free[0] + hours(job, rates))
        total += max(free)
    return total


def stage_table(stages: Mapping[str, Sequence[Counter]], devices: Sequence[Rates], batch_size: int) -> Table:
    """One row per stage and one for all, a column of hours per device."""
    table = Table(title="What the run has to do")
    table.add_column("Stage")
    for column in ("Jobs", "UNet evaluations", "VAE images", "Training iterations", "Images judged", "Disk"):
        table.add_column(column, justify="right")
    for rates in devices:
        table.add_column(f"{rates.device}\nhours", justify="right", overflow="fold")
    for stage in (*STAGES, None):
        jobs = stages[stage] if stage else [job for jobs in stages.values() for job in jobs]
        total: Counter = sum(jobs, Counter())
        amounts = [
            total["started"],
            total["inverted"] + total["resampled"],
            total["encoded"] + total["decoded"],
            _over_backbones(total, "trained") / batch_size,
            _over_backbones(total, "segmented"),
        ]
        counts = [f"{amount:,.0f}" if amount else "" for amount in amounts]
        if stage is None:
            table.add_section()
        spent = [_hours(hours(total, rates)) for rates in devices]
        table.add_row(stage or "all", *counts, _gigabytes(total["bytes"]), *spent, style=None if stage else "bold")
    return table


def _over_backbones(done: Counter, name: str) -> float:
    return sum(amount for key, amount in done.items() if key.startswith(f"{name}/"))


def _hours(number: float) -> str:
    return (
        ""
        if number == 0
        else "not measured"
        if number != number
        else f"{number:.2g}"
        if number < 1
        else f"{number:.1f}"
    )


def _gigabytes(number: float) -> str:
    return "" if not number else f"{number / 1e9:,.1f} GB" if number >= 1e8 else f"{number / 1e6:,.1f} MB"


def evaluation_table(
    graph: Mapping, config: Mapping, images: Mapping[str, int], settings: ReNoise, schedule: Schedule
) -> Table:
    """UNet sample evaluations of one image, pool by pool: of what detectors train on, and of everything."""
    stride = config["inversion"]["stride"]
    table = Table(title="UNet sample evaluations of one image", title_justify="left")
    table.add_column("Pool")
    for column in ("for the detectors", "each inverting for itself", "everything", "each inverting for itself"):
        table.add_column(column, justify="right")
    whole = [0] * 4
    for pool in config["pools"]:
        made = {(job["recipe"], job["backbone"]) for job in graph["corruption"] if job["pool"] == pool}
        trained = {(job["supervision"], job["backbone"]) for job in graph["detectors"] if job["train_set"] == pool}
        row = []
        for corruptions in (made & trained, made):
            depths = [schedule.steps_inverted(config["recipes"][recipe]["step"]) for recipe, _ in corruptions]
            row.append(workload.shared(depths, stride, settings, schedule))
            row.append(workload.alone(depths, settings, schedule))
        table.add_row(pool, *map(str, row))
        whole = [total + images[pool] * each for total, each in zip(whole, row, strict=True)]
    table.add_section()
    table.add_row("all images", *(f"{total:,}" for total in whole), style="bold")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overlays", nargs="*", help="config files over config/config.yaml, as for --configfile")
    parser.add_argument("--target", nargs="+", default=["all"], help="what to make, as for snakemake (default: all)")
    chosen = parser.parse_args(arguments)
    try:
        print_forecast(chosen.target, chosen.overlays)
    except (UserError, OSError) as error:
        sys.exit(f"blemish, forecast: {explain(error)}")


def print_forecast(targets: Sequence[str], overlays: Sequence[str]) -> None:
    """Prints stages, evaluations, totals, and what they rest on."""
    config = load(overlays)
    settings, schedule = trajectory(config)
    known = sizes(config)
    graph = workload.read_graph(graph_files(targets, overlays), config["pathvars"]["results"])
    stages = workload.work(graph, config, known, settings, schedule)
    benchmarks = {
        str(path.relative_to(reference.ROOT)): json.loads(path.read_text())
        for path in sorted(BENCHMARKS.glob("*.json"))
    }
    devices = all_rates(config, benchmarks)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(stage_table(stages, devices, config["detectors"]["batch_size"]))
    console.print(evaluation_table(graph, config, known.images, settings, schedule))
    for rates in devices:
        console.print(f"[bold]{rates.device}[/bold]: {'; '.join(rates.origins.values())}.")
        for count in AT_ONCE[config["device"]]:
            console.print(f"  {count} at a time, stage after stage: {_hours(duration(stages, rates, count))} hours")
    if not devices:
        console.print("No device has figures for these networks: see benchmarks/README.md.")
    started, start = sum(job["started"] for jobs in stages.values() for job in jobs), START[config["device"]]
    console.print(
        f"In this: {started * start / 3600:.1f} hours of starting {started} jobs, at {start} s each. "
        f"Images: {known.images['train']:,} and {known.images['test']:,} labelled, {known.images['hps']:,} of HPS. "
        "Amounts are upper bounds: an image without a region is not resampled."
    )


if __name__ == "__main__":
    main()

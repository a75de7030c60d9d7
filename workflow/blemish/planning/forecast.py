"""`python -m blemish.planning.forecast [overlay ...]` prints what a run will cost: GPU-hours by stage, and disk space.

The amounts are counted from what the config asks for (`blemish.planning.workload`). The speed of a device is
measured by `benchmarks/engine.py` and `benchmarks/detectors.py`, where benchmarks/results/ holds their figures for
the configured networks, and else an aim: a share of the device's matrix peak. The forecast says which it is.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from blemish import experiments
from blemish.config.load import ROOT, load, model_folder
from blemish.corruption.cost import alone, shared
from blemish.corruption.schedule import Schedule
from blemish.corruption.settings import ReNoise
from blemish.errors import UserError, explain
from blemish.experiments import corrupted_pools, depth
from blemish.planning.rates import START, Rates, all_rates, duration, hours, written
from blemish.planning.workload import Sizes, work
from blemish.sources.folder import find

AT_ONCE = {"cuda": (1, 8), "cpu": (1, 2)}  # devices for which the whole run's duration is printed

BENCHMARKS = ROOT / "benchmarks" / "results"

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
REDUCTION = 8  # Stable Diffusion's pixels to a latent cell, per side
MODEL_BYTES = 4_265_000_000  # Stable Diffusion 1.5: UNet, VAE and text encoder in float32
DETECTOR_BYTES = 240_000_000  # UPerNet, 60 M parameters in float32
IMAGES = {"train": 7801, "test": 500}  # §4.1, until a run has counted them

# ASSUME: bytes a pixel of PNG, until a run has written some: photographs, masks.
PNG = 1.7
PNG_MASK = 1 / 64


def trajectory(config: Mapping) -> tuple[ReNoise, Schedule]:
    """The inversion's settings and schedule; without the model here, Stable Diffusion's."""
    folder = model_folder(config)
    scheduler = json.loads((folder / "scheduler/scheduler_config.json").read_text()) if folder else STABLE_DIFFUSION
    return ReNoise(**config["renoise"]), Schedule.from_config(scheduler, config["schedule"]["steps"])


def sizes(config: Mapping) -> Sizes:
    """Numbers of images and bytes: those of the results where a run has made some, else the paper's and ours."""
    results, pixels = Path(config["pathvars"]["results"]), config["resolution"] ** 2
    images = {name: _rows([results / f"sets/richhf-{name}.parquet"]) or IMAGES[name] for name in IMAGES}
    images["human"] = config["subset"]["count"]
    images["richhf"] = images["train"] - images["human"]
    images["hps"] = config["pools"]["hps"]["count"]
    images |= {pool: len(find([own["images"]])) for pool, own in config["pools"].items() if "images" in own}
    folder, reduction = model_folder(config), REDUCTION
    if folder:
        reduction = 2 ** (len(json.loads((folder / "vae/config.json").read_text())["block_out_channels"]) - 1)
    weights = _bytes(results.glob("detectors/*/human/*/*/weights.safetensors"))
    records = filter(None, config["sources"]["richhf"]["records"].values())
    return Sizes(
        images=images,
        image=_bytes_per_row(results.glob("pools/*/*.parquet")) or PNG * pixels,
        mask=_bytes_per_row(results.glob("regions/*/*/*.parquet")) or PNG_MASK * pixels,
        latent=(config["resolution"] // reduction) ** 2,
        weights=weights[0] if weights else DETECTOR_BYTES,
        sources=sum(_bytes(folder.rglob("*")) if folder else [MODEL_BYTES])
        + sum(_bytes(results.glob("sources/segmentation/*")) or [DETECTOR_BYTES] * len(config["backbones"]))
        + sum(
            _bytes(results.glob("sources/richhf/*.tfrecord"))
            or [record.get("bytes") or 0 for record in records if record]
        ),
    )


def _rows(paths: Iterable[Path]) -> int:
    return sum(pq.read_metadata(path).num_rows for path in paths if path.exists())


def _bytes(paths: Iterable[Path]) -> list[int]:
    return [path.stat().st_size for path in paths if path.is_file()]


def _bytes_per_row(paths: Iterable[Path]) -> float:
    paths = list(paths)
    return sum(_bytes(paths)) / max(_rows(paths), 1)


def stage_table(stages: Mapping[str, Sequence[Counter]], devices: Sequence[Rates], batch_size: int) -> Table:
    """One row per stage and one for all, a column of hours per device."""
    table = Table(title="What the run has to do")
    table.add_column("Stage")
    for column in ("Jobs", "UNet evaluations", "VAE images", "Training iterations", "Images judged", "Disk"):
        table.add_column(column, justify="right")
    for rates in devices:
        table.add_column(f"{rates.device}\nhours", justify="right", overflow="fold")
    rows = {**stages, "all": [job for jobs in stages.values() for job in jobs]}
    for stage, jobs in rows.items():
        total = sum(jobs, Counter())
        amounts = [
            total["started"],
            total["inverted"] + total["resampled"],
            total["encoded"] + total["decoded"],
            _over_backbones(total, "trained") / batch_size,
            _over_backbones(total, "segmented"),
        ]
        counts = [f"{amount:,.0f}" if amount else "" for amount in amounts]
        spent = [_hours(sum(hours(job, rates) for job in jobs)) if total["started"] else "" for rates in devices]
        if stage == "all":
            table.add_section()
        table.add_row(stage, *counts, _gigabytes(total["bytes"]), *spent, style="bold" if stage == "all" else None)
    return table


def _over_backbones(done: Counter, name: str) -> float:
    return sum(amount for key, amount in done.items() if key.startswith(f"{name}/"))


def _hours(number: float) -> str:
    if math.isnan(number):
        return "not measured"
    return f"{number:.2g}" if number < 1 else f"{number:.1f}"


def _gigabytes(number: float) -> str:
    return "" if not number else f"{number / 1e9:,.1f} GB" if number >= 1e8 else f"{number / 1e6:,.1f} MB"


def evaluation_table(config: Mapping, images: Mapping[str, int], settings: ReNoise, schedule: Schedule) -> Table:
    """UNet sample evaluations of one image, pool by pool: of what detectors train on, and of everything."""
    stride, guidance = config["schedule"]["stride"], config["corruption"]["guidance"]
    table = Table(title="UNet sample evaluations of one image", title_justify="left")
    table.add_column("Pool")
    for column in ("for the detectors", "each inverting for itself", "everything", "each inverting for itself"):
        table.add_column(column, justify="right")
    everything, detectors = corrupted_pools(config), experiments.detectors(config["tables"])
    trained_on = [corrupted for corrupted in everything if corrupted in detectors]
    whole = [0] * 4
    for pool in config["pools"]:
        row = []
        for corruptions in (trained_on, everything):
            depths = [depth(config, c.recipe) for c in corruptions if c.pool == pool]
            row += [shared(depths, stride, settings, schedule, guidance), alone(depths, settings, schedule, guidance)]
        table.add_row(pool, *map(str, row))
        whole = [total + images[pool] * each for total, each in zip(whole, row, strict=True)]
    table.add_section()
    table.add_row("all images", *(f"{total:,}" for total in whole), style="bold")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overlays", nargs="*", help="config files over config/config.yaml, as for --configfile")
    try:
        print_forecast(parser.parse_args(arguments).overlays)
    except (UserError, OSError) as error:
        sys.exit(f"blemish, forecast: {explain(error)}")


def print_forecast(overlays: Sequence[str]) -> None:
    """Prints stages, evaluations, totals, and what they rest on."""
    config = load(overlays)
    settings, schedule = trajectory(config)
    known = sizes(config)
    stages = work(config, known, settings, schedule)
    files = sorted(BENCHMARKS.glob("*.json"))
    devices = all_rates(config, {str(path.relative_to(ROOT)): json.loads(path.read_text()) for path in files})
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(stage_table(stages, devices, config["detectors"]["batch_size"]))
    console.print(evaluation_table(config, known.images, settings, schedule))
    for rates in devices:
        console.print(f"[bold]{rates.device}[/bold]: {'; '.join(rates.origins.values())}.")
        for count in AT_ONCE[config["device"]]:
            console.print(f"  {count} at a time, stage after stage: {_hours(duration(stages, rates, count))} hours")
    if not devices:
        console.print("No device has figures for these networks: see benchmarks/README.md.")
    whose = "" if _rows([Path(config["pathvars"]["results"]) / "sets/richhf-train.parquet"]) else " (§4.1's numbers)"
    started, start = sum(job["started"] for jobs in stages.values() for job in jobs), START[config["device"]]
    console.print(
        f"In this: {started * start / 3600:.1f} hours of starting {started} jobs, at {start} s each. "
        f"Images: {known.images['train']:,} and {known.images['test']:,} labelled{whose}, "
        f"{known.images['hps']:,} of HPS. "
        "Amounts are upper bounds: an image without a region is not resampled. "
        f"{config['corruption']['threads']} CPU threads beside a device write "
        f"{written(config):.0f} images/s: where it makes more, they count."
    )


if __name__ == "__main__":
    main()

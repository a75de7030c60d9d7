"""What inversion and corruption cost in UNet sample evaluations, counted by the jobs that spent them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from blemish.corruption.cost import alone, evaluations, resampling
from blemish.corruption.latents import Latents
from blemish.corruption.schedule import Schedule
from blemish.corruption.settings import ReNoise
from blemish.data.files import read_csv
from blemish.experiments import CorruptedPool
from blemish.report.text import columns_markdown, escape_markdown
from blemish.steps import before

COLUMNS = {
    "pool": ("Pool", escape_markdown),
    "work": ("Work", escape_markdown),
    "images": ("Images", "{:,}".format),
    "evaluations": ("Evaluations", "{:,}".format),
    "each": ("an image", "{:.1f}".format),
    "forecast": ("Forecast", "{:,}".format),
    "alone": ("Each inverting for itself", lambda number: f"{number:,}" if number else ""),
}
LEGEND = (
    "UNet sample evaluations. Forecast: if every image had a region; an image without one is not resampled. "
    "Each inverting for itself: the same corruptions without the shared trajectory."
)


def cost_table(
    inversions: Mapping[tuple[str, int], Sequence[str | PathLike]],
    corruptions: Mapping[CorruptedPool, Sequence[str | PathLike]],
    depths: Mapping[str, int],
    stride: int,
    settings: ReNoise,
    schedule: Schedule,
    guidance: float,
) -> pd.DataFrame:
    """Sums what the jobs counted, per pool: one row for the trajectory, one per recipe, one for all of it.

    Args:
        inversions: (pool, number of steps) -> inversion shards, for all numbers stored.
        corruptions: CSVs with the column `evaluations`, of each corrupted pool.
        depths: inversion steps of each recipe.
        stride: the trajectory is stored every so many steps.
        guidance: its scale in resampling.

    Returns:
        Columns `pool`, `work` ("inversion", a recipe, "all"), `images` (times backbones), `evaluations`,
        `forecast` (`workload`'s count), `alone` (the alternative's, nothing in the trajectory's own row).
    """
    spent = {key: sum(Latents(Path(path)).evaluations for path in paths) for key, paths in inversions.items()}
    counts = pd.concat(
        read_csv(path, ["evaluations"]).assign(pool=corrupted.pool, recipe=corrupted.recipe)
        for corrupted, paths in corruptions.items()
        for path in paths
    )
    rows = []
    for pool in dict.fromkeys(pool for pool, _ in inversions):
        images = sum(len(Latents(Path(path)).ids) for path in inversions[pool, 0])
        parts = [(before(n, stride), n) for name, n in inversions if name == pool and n]
        # A shard's count includes what it went on from.
        own = sum(spent[pool, n] - spent[pool, start] for start, n in parts)
        each = sum(evaluations(*part, settings, schedule) for part in parts)
        rows.append([pool, "inversion", images, own, images * each, 0])
        for recipe, counted in counts[counts["pool"] == pool].groupby("recipe", sort=False)["evaluations"]:
            count, n = len(counted), depths[recipe]
            forecast = count * resampling(n, guidance)
            rows.append(
                [pool, recipe, count, counted.sum(), forecast, count * alone([n], settings, schedule, guidance)]
            )
        sums = [sum(column) for column in zip(*[row[3:] for row in rows if row[0] == pool], strict=True)]
        rows.append([pool, "all", images, *sums])
    return pd.DataFrame(rows, columns=["pool", "work", "images", "evaluations", "forecast", "alone"])


def to_markdown(table: pd.DataFrame) -> str:
    """The table with its legend below."""
    table = table.assign(each=table["evaluations"] / table["images"])
    return f"{columns_markdown(table, COLUMNS, left=2)}\n{LEGEND}\n"

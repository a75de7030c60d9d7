"""Figures of numbers: Table 3 as a curve, loss and precision-recall curves, where selected regions lie."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blemish.data.records import read_records
from blemish.errors import UserError
from blemish.experiments import LABELLED, Detector, group

STYLE = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
}
BASELINES = {"human": "#000000", "pseudo": "#8a8a8a"}
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]  # Okabe and Ito's
OURS = "#0072b2"

PerSeed = Mapping[Detector, Sequence[pd.DataFrame]]
"""Per detector a table of each of its seeds."""


def colours(supervisions: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """A colour for each: baselines black and grey, a hue for each method, paler for each of its recipes."""
    names = sorted({*supervisions} - {*LABELLED})
    methods = group((name.rpartition("-")[0] for name in names), names)
    chosen = {name: matplotlib.colors.to_rgb(colour) for name, colour in BASELINES.items()}
    for i, recipes in enumerate(methods.values()):
        hue = np.array(matplotlib.colors.to_rgb(COLOURS[i % len(COLOURS)]))
        for k, name in enumerate(reversed(recipes)):
            pale = 0.7 * k / len(recipes)
            chosen[name] = tuple((1 - pale) * hue + pale)
    return {name: chosen[name] for name in supervisions}


@matplotlib.rc_context(STYLE)
def iou_against_step(table: pd.DataFrame, steps: Mapping[str, int]) -> Figure:
    """Table 3 as a curve: IoU against the corruption step, beside human and pseudo labels.

    Args:
        table: `tables.assemble` of Table 3.
        steps: the DDIM step of each recipe; the table's rows that are not among them are drawn as levels.
    """
    columns = list(dict.fromkeys(table["column"]))
    figure = Figure(figsize=(2.5 * len(columns), 2.9), layout="constrained")
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for ax, column in zip(axes, columns, strict=True):
        cells = table[table["column"] == column]
        is_recipe = cells["supervision"].isin(list(steps))
        for cell in cells[~is_recipe].itertuples():
            colour = BASELINES.get(cell.supervision, "#8a8a8a")
            ax.axhspan(cell.low, cell.high, color=colour, alpha=0.08, linewidth=0)
            ax.axhline(cell.ours, color=colour, linestyle="--", label=f"{cell.supervision} (ours)")
        curve = cells[is_recipe].assign(step=cells["supervision"].map(steps)).sort_values("step")
        spread = [curve["ours"] - curve["low"], curve["high"] - curve["ours"]]
        ax.errorbar(curve["step"], curve["ours"], spread, fmt="o-", color=OURS, capsize=3, label="corruption (ours)")
        ax.plot(curve["step"], curve["paper"], "s:", color="#d55e00", markersize=4, label="corruption (paper)")
        ax.set(title=column.replace(" / ", ", "), xlabel="Corruption step", xticks=list(curve["step"]))
    axes[0].set_ylabel("IoU of the artifact class (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@matplotlib.rc_context(STYLE)
def loss_curves(losses: PerSeed) -> Figure:
    """Training losses, a panel per train set and backbone.

    Args:
        losses: the loss.csv of each seed: iteration, loss, lr. Drawn as a running median over a twentieth of the
            entries.
    """

    def plot(ax: Axes, frame: pd.DataFrame, **style) -> None:
        smooth = frame["loss"].rolling(max(1, len(frame) // 20), min_periods=1).median()
        ax.plot(frame["iteration"], smooth, **style)
        ax.set(yscale="log", xlabel="Iteration", ylabel="Loss")
        ax.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        ax.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())

    return _panels(losses, plot)


@matplotlib.rc_context(STYLE)
def precision_recall(results: PerSeed) -> Figure:
    """Precision against recall over all thresholds, a panel per train set and backbone.

    Args:
        results: the per_image.parquet of each seed (rows of `measures.measure`).
    """

    def plot(ax: Axes, per_image: pd.DataFrame, **style) -> None:
        ax.plot(*recall_and_precision(per_image), **style)
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Recall", ylabel="Precision")

    return _panels(results, plot)


def recall_and_precision(per_image: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Over all pixels of all images, for each threshold at which anything is found, highest first; in 0..1.

    Without a single artifact, recall is undefined: NaN.
    """
    artifact, background = (np.stack(per_image[name]).sum(0)[::-1].cumsum() for name in ("artifact", "background"))
    found = artifact + background > 0
    recall = artifact / artifact[-1] if artifact[-1] else np.full(len(artifact), np.nan)
    return recall[found], artifact[found] / (artifact + background)[found]


def _panels(tables: PerSeed, plot: Callable[..., None]) -> Figure:
    """A row per backbone, a column per train set, a colour per supervision, thin lines for further seeds."""
    backbones = sorted({detector.backbone for detector in tables})
    train_sets = sorted({detector.train_set for detector in tables})
    found = {detector.supervision for detector in tables}
    supervisions = [*(name for name in LABELLED if name in found), *sorted(found - {*LABELLED}, reverse=True)]
    colour = colours(supervisions)
    figure = Figure(figsize=(3 * len(train_sets) + 1.2, 2.4 * len(backbones)), layout="constrained")
    axes = figure.subplots(len(backbones), len(train_sets), squeeze=False)
    handles: dict[str, object] = {}
    for detector, seeds in sorted(tables.items()):
        ax = axes[backbones.index(detector.backbone), train_sets.index(detector.train_set)]
        for i, table in enumerate(seeds):
            plot(ax, table, color=colour[detector.supervision], linewidth=0.5 if i else 1.3)
            handles.setdefault(detector.supervision, ax.lines[-1])
    for ax, (backbone, train_set) in zip(axes.flat, itertools.product(backbones, train_sets), strict=True):
        ax.set_title(f"{train_set}, {backbone}", parse_math=False)
        ax.set_visible(bool(ax.lines))
    figure.legend([handles[name] for name in supervisions], supervisions, loc="outside right upper")
    return figure


def mean_mask(paths: Sequence[str]) -> np.ndarray:
    """The mean of all masks of some regions files, (h, w) in 0..1, read one after another.

    Raises:
        UserError: the files hold no mask.
    """
    total, count = 0, 0
    for record in read_records(paths, columns=["mask"]):
        total, count = total + record.mask.astype(np.int64), count + 1
    if not count:
        raise UserError(f"figures: no mask in {', '.join(map(str, paths))}: select regions first.")
    return total / count


@matplotlib.rc_context({**STYLE, "axes.grid": False})
def region_heat_maps(maps: Mapping[str, np.ndarray]) -> Figure:
    """Where the selected regions lie: how often each pixel is in one.

    Args:
        maps: per name the mean of all masks, (h, w) in 0..1.
    """
    columns = min(4, len(maps))
    rows = math.ceil(len(maps) / columns)
    figure = Figure(figsize=(2.4 * columns + 0.6, 2.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    top = max(100 * values.max() for values in maps.values()) or 1
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, values) in zip(axes.flat, maps.items(), strict=False):
        image = ax.imshow(100 * values, cmap="magma", vmin=0, vmax=top, interpolation="nearest")
        ax.set_title(f"{name}\n{values.mean():.1%} of the pixels", parse_math=False)
    figure.colorbar(image, ax=axes, label="Images (%)", shrink=0.8)
    return figure

"""Figures of images: clean over corrupted, with the selected region outlined (the paper's Figures 4 to 8).

Small images are enlarged pixel by pixel, without smoothing; large ones are reduced.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from blemish.data.files import atomic
from blemish.experiments import CorruptedPool
from blemish.report.examples import fetch
from blemish.report.strength_table import captions, read_strength

PANEL = 320  # pixels of one image's side
GAP = 12  # pixels between images
DPI = 200
GREEN = "#00e63c"  # the paper's colour of a region's outline

NO_DATES = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None, "Creator": None}}

Paths = Sequence[str | PathLike]
Choice = Callable[[pd.DataFrame], pd.DataFrame]
"""From the strength of all images of a pool to that of those to show, e.g. `examples.drawn`."""


class Panel(NamedTuple):
    """One picture of a grid: (h, h, 3) uint8, the region to outline, and a line below it."""

    image: np.ndarray
    outline: np.ndarray | None = None
    caption: str = ""


def contact_sheet(clean: Paths, corrupted: Paths, strength: Paths, choose: Choice) -> Figure:
    """Three rows: clean images, their regions, and the corrupted images, where nothing hides them.

    Args:
        clean, corrupted, strength: one file per shard, in the same order.
        choose: which images.
    """
    measured = read_strength(strength)
    chosen = choose(measured)
    before, after = fetch(clean, chosen), fetch(corrupted, chosen)
    return grid(
        {
            "Clean": [Panel(record.image) for record in before],
            "Region": [Panel(c.image, m.mask) for c, m in zip(before, after, strict=True)],
            "Corrupted": [Panel(r.image, None, t) for r, t in zip(after, captions(measured, chosen), strict=True)],
        }
    )


def clean_over_corrupted(
    clean: Mapping[str, Paths],
    corrupted: Mapping[CorruptedPool, Paths],
    strength: Mapping[CorruptedPool, Paths],
    choose: Choice,
) -> Figure:
    """Clean images, and below them a row for each recipe with the region outlined (Figures 4 to 8).

    Args:
        clean: per pool its shards; several pools stand side by side under their names.
        corrupted, strength: the same for each pool corrupted by each recipe.
        choose: which images of a pool, from their strength under the first recipe.
    """
    rows: dict[str, list[Panel]] = {"Clean": []}
    columns: list[str] = []
    for pool, shards in clean.items():
        measured = {name: read_strength(paths) for name, paths in strength.items() if name.pool == pool}
        chosen = choose(next(iter(measured.values())))
        rows["Clean"] += [Panel(record.image) for record in fetch(shards, chosen)]
        for name, table in measured.items():
            shown = zip(fetch(corrupted[name], chosen), captions(table, chosen), strict=True)
            rows.setdefault(name.recipe, []).extend(Panel(r.image, r.mask, text) for r, text in shown)
        columns += [pool] * len(chosen)
    return grid(rows, columns if len(clean) > 1 else ())


def grid(rows: Mapping[str, Sequence[Panel]], columns: Sequence[str] = ()) -> Figure:
    """Rows of pictures with their labels at the left and group headings above.

    Every picture takes PANEL of the figure's pixels, so that it is drawn as it was fitted.
    """
    label, heading = 44, 44 if columns else 6
    below = [34 if any(panel.caption for panel in panels) else 0 for panels in rows.values()]
    wide = max(map(len, rows.values()))
    width = label + wide * (PANEL + GAP)
    height = heading + len(rows) * (PANEL + GAP) + sum(below)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")

    def write(x: float, y: float, text: str, **style) -> None:
        """Text centred at a pixel counted from the top left."""
        figure.text(x / width, 1 - y / height, text, ha="center", va="center", parse_math=False, **style)

    top = heading
    for (name, panels), space in zip(rows.items(), below, strict=True):
        write(label / 2, top + PANEL / 2, name, rotation=90, size=8)
        for i, panel in enumerate(panels):
            left = label + i * (PANEL + GAP)
            corner = left / width, 1 - (top + PANEL) / height
            _show(figure.add_axes((*corner, PANEL / width, PANEL / height)), panel)
            if panel.caption:
                write(left + PANEL / 2, top + PANEL + 18, panel.caption, size=6, color="#555555")
        top += PANEL + GAP + space
    start = 0
    for name, group in itertools.groupby(columns):
        count = len(list(group))
        middle = label + (start + count / 2) * (PANEL + GAP) - GAP / 2
        write(middle, heading / 2, name, size=8)
        start += count
    return figure


def _show(axes: Axes, panel: Panel) -> None:
    axes.imshow(_fit(panel.image), extent=(0, 1, 1, 0), interpolation="nearest", aspect="auto")
    axes.set(xlim=(0, 1), ylim=(1, 0))
    axes.axis("off")
    if panel.outline is not None:
        edges = outline(panel.outline)
        for colour, width in (("black", 1.9), (GREEN, 1.1)):  # a dark rim shows green on green
            axes.add_collection(LineCollection(edges, colors=colour, linewidths=width, capstyle="projecting"))


def _fit(image: np.ndarray) -> np.ndarray:
    """(h, h, 3) -> (PANEL, PANEL, 3). Repeats pixels up to PANEL or just beyond, then averages down to it."""
    times = -(-PANEL // image.shape[0])
    repeated = image.repeat(times, axis=0).repeat(times, axis=1)
    return np.asarray(Image.fromarray(repeated).resize((PANEL, PANEL), Image.Resampling.HAMMING))


def outline(mask: np.ndarray) -> np.ndarray:
    """The border of a mask as line segments between its pixels.

    Args:
        mask: (h, w) bool; beyond its edges nothing is selected.

    Returns:
        (segments, 2, 2): both ends' (x, y) in shares of the width and height.
    """
    h, w = mask.shape
    padded = np.pad(mask, 1)
    y, x = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    horizontal = np.stack([np.stack([x, y], 1), np.stack([x + 1, y], 1)], 1)
    y, x = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    vertical = np.stack([np.stack([x, y], 1), np.stack([x, y + 1], 1)], 1)
    return np.concatenate([horizontal, vertical]) / (w, h)


def save(figure: Figure, paths: Iterable[str | PathLike]) -> None:
    """Writes a figure as PNG or PDF, by suffix; the same figure gives the same bytes."""
    for path in map(Path, paths):
        with atomic(path) as temporary, matplotlib.rc_context({"pdf.fonttype": 42}):
            figure.savefig(temporary, format=path.suffix[1:], dpi=DPI, metadata=NO_DATES[path.suffix])

"""Figures of images: clean over corrupted, with the selected region outlined (the paper's Figures 4 to 8).

Which images are shown is decided by a seed (`draw`) or by a measure (`weakest`), never by hand. Small images
are enlarged pixel by pixel, without smoothing; large ones are reduced.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from blemish.data.files import atomic, read_csv
from blemish.data.records import Record, read_records
from blemish.errors import UserError

PANEL = 320  # pixels of one image's side
GAP = 12  # pixels between images
DPI = 200
GREEN = "#00e63c"  # the paper's colour of a region's outline

LEAST_REGION = 0.01
"""Share of an image that its region must cover for Figure 8: a smaller one shows nothing either way."""

NO_DATES = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    ".svg": {"Date": None},
}


class Panel(NamedTuple):
    """One picture of a grid: (h, h, 3) uint8, the region to outline, and a line below it."""

    image: np.ndarray
    outline: np.ndarray | None = None
    caption: str = ""


def read_strength(paths: Sequence[str | PathLike]) -> pd.DataFrame:
    """The strength CSVs of a set's shards, one row per image; `part` is its shard's position in `paths`."""
    return pd.concat(
        [read_csv(path, ["id", "latent_distance"]).assign(part=i) for i, path in enumerate(paths)], ignore_index=True
    )


def split(paths: Sequence[str], parts: Mapping[str, int]) -> dict[str, list[str]]:
    """Deals a flat list of files to names in turn, `parts[name]` of them to each."""
    files = iter(paths)
    return {name: list(itertools.islice(files, count)) for name, count in parts.items()}


def with_region(strength: pd.DataFrame) -> pd.DataFrame:
    """The images that were corrupted at all: those whose mask selects a cell of the latent."""
    return strength[strength["latent_distance"].notna()]


def draw(strength: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """`count` images with a region, drawn by (seed, id): however the set was cut into shards, the same ones.

    Raises:
        UserError: no image has a region.
    """
    shown = with_region(strength)
    order = [hashlib.sha256(f"{seed}/{name}".encode()).hexdigest() for name in shown["id"]]
    return _some(shown.iloc[np.argsort(order)], count, "no image has a region to corrupt")


def weakest(strength: pd.DataFrame, count: int) -> pd.DataFrame:
    """The `count` images whose region changed least: the smallest share of visibly changed pixels in it, and
    of equal ones the highest PSNR (§7: regions where no artifact came out).

    Raises:
        UserError: no image has a region of LEAST_REGION.
    """
    shown = with_region(strength)
    shown = shown[shown["mask_fraction"] >= LEAST_REGION]
    order = shown.sort_values(["changed", "psnr_inside", "id"], ascending=[True, False, True])
    return _some(order, count, f"no region covers {LEAST_REGION:.0%} of its image")


def _some(images: pd.DataFrame, count: int, complaint: str) -> pd.DataFrame:
    if images.empty:
        raise UserError(f"figures: {complaint}, so there is nothing to show: lower selector.tau in the config.")
    return images.head(count)


def fetch(shards: Sequence[str | PathLike], chosen: pd.DataFrame) -> list[Record]:
    """The records of the chosen images (columns `id`, `part`), in that order; only their shards are read.

    Raises:
        UserError: a shard does not hold an image that it should.
    """
    found = {}
    for part, images in chosen.groupby("part"):
        wanted = set(images["id"])
        found |= {(part, record.id): record for record in read_records(shards[part], where=wanted.__contains__)}
    missing = [key for key in zip(chosen["part"], chosen["id"], strict=True) if key not in found]
    if missing:
        part, name = missing[0]
        raise UserError(f"figures: {shards[part]} does not hold the image {name}: make the shard anew.")
    return [found[key] for key in zip(chosen["part"], chosen["id"], strict=True)]


def contact_sheet(clean: Sequence[Record], corrupted: Sequence[Record], captions: Sequence[str] = ()) -> Figure:
    """Three rows: the clean images, their regions, and the corrupted images, where nothing hides them."""
    captions = captions or [""] * len(clean)
    return grid(
        {
            "Clean": [Panel(record.image) for record in clean],
            "Region": [Panel(c.image, m.mask) for c, m in zip(clean, corrupted, strict=True)],
            "Corrupted": [Panel(r.image, None, text) for r, text in zip(corrupted, captions, strict=True)],
        }
    )


def clean_over_corrupted(
    clean: Sequence[Record],
    corrupted: Mapping[str, Sequence[Record]],
    columns: Sequence[str] = (),
    captions: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """The clean images, and below them a row for each recipe with the region outlined (Figures 4 to 8).

    Args:
        clean: n records.
        corrupted: per row label the same n images, corrupted, with their masks.
        columns: n group names, e.g. the pools; neighbours of one name share a heading.
        captions: per row label n lines to write below the images.
    """
    rows = {"Clean": [Panel(record.image) for record in clean]}
    for name, records in corrupted.items():
        texts = (captions or {}).get(name) or [""] * len(clean)
        rows[name] = [Panel(r.image, r.mask, text) for r, text in zip(records, texts, strict=True)]
    return grid(rows, columns)


def describe(strength: pd.DataFrame, chosen: pd.DataFrame) -> list[str]:
    """The caption of each chosen image: PSNR to the clean one in the region and beyond, share changed."""
    rows = chosen[["id", "part"]].merge(strength, on=["id", "part"], how="left", validate="1:1")
    return [
        f"in {row.psnr_inside:.0f} dB, out {row.psnr_outside:.0f} dB, {100 * row.changed:.0f} % changed"
        for row in rows.itertuples()
    ]


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
    top = heading
    for (name, panels), space in zip(rows.items(), below, strict=True):
        _text(figure, label / 2, top + PANEL / 2, name, width, height, rotation=90, size=8)
        for i, panel in enumerate(panels):
            left = label + i * (PANEL + GAP)
            _show(figure, panel, left / width, 1 - (top + PANEL) / height, PANEL / width, PANEL / height)
            if panel.caption:
                _text(
                    figure,
                    left + PANEL / 2,
                    top + PANEL + 18,
                    panel.caption,
                    width,
                    height,
                    size=6,
                    color="#555555",
                )
        top += PANEL + GAP + space
    start = 0
    for name, group in itertools.groupby(columns):
        count = len(list(group))
        middle = label + (start + count / 2) * (PANEL + GAP) - GAP / 2
        _text(figure, middle, heading / 2, name, width, height, size=8)
        start += count
    return figure


def _text(figure: Figure, x: float, y: float, text: str, width: int, height: int, **style) -> None:
    """Text centred at a pixel counted from the top left."""
    figure.text(x / width, 1 - y / height, text, ha="center", va="center", parse_math=False, **style)


def _show(figure: Figure, panel: Panel, left: float, bottom: float, width: float, height: float) -> None:
    axes = figure.add_axes((left, bottom, width, height))
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
    """Writes a figure as PNG, PDF or SVG, by suffix; the same figure gives the same bytes."""
    for path in map(Path, paths):
        with (
            atomic(path) as temporary,
            matplotlib.rc_context({"svg.hashsalt": "blemish", "pdf.fonttype": 42}),
        ):
            figure.savefig(temporary, format=path.suffix[1:], dpi=DPI, metadata=NO_DATES[path.suffix])

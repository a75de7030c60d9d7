"""What the gallery shows: images drawn from every corrupted set, their masks, predictions and measures."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from blemish.data.images import run_lengths
from blemish.data.records import Record
from blemish.evaluation.measures import confusion, iou
from blemish.report import figures

LOSSLESS_SIDE = 128
"""Images up to this side are enlarged pixel by pixel, so that a codec's own errors would be seen in them."""

QUALITY = 85  # of WebP, for larger images


@dataclass(frozen=True)
class CorruptedSet:
    """The files of one corrupted set, shard by shard.

    Attributes:
        pool, recipe, backbone: which set.
        clean, corrupted, strength: one file per shard, in the same order.
        weights: of the detector trained on this set, None where there is none.
    """

    pool: str
    recipe: str
    backbone: str
    clean: Sequence[str]
    corrupted: Sequence[str]
    strength: Sequence[str]
    weights: str | None = None


class Measure(NamedTuple):
    """A column of the strength CSV: what the page calls it, its unit, and the factor into that unit."""

    column: str
    label: str
    unit: str = ""
    scale: float = 1


MEASURES = (
    Measure("psnr_inside", "PSNR inside", "dB"),
    Measure("psnr_outside", "PSNR outside", "dB"),
    Measure("ssim_inside", "SSIM inside"),
    Measure("ssim_outside", "SSIM outside"),
    Measure("changed", "Changed", "%", 100),
    Measure("latent_distance", "Latent distance"),
    Measure("mask_fraction", "Mask area", "%", 100),
)

Predict = Callable[[CorruptedSet, Sequence[Record]], Iterable[tuple[str, np.ndarray]]]
"""(set, records) -> (id, P (h, w) in [0, 1]) of each record by the set's detector, in their order."""


def collect(sets: Iterable[CorruptedSet], count: int, seed: int, predict: Predict, threshold: float) -> dict:
    """Draws `count` images with a region from each set and gathers all that the page shows of them.

    Args:
        sets: those to show; one in which no image has a region adds nothing.
        count: images per set.
        seed: decides with an image's id whether it is drawn (`figures.draw`).
        predict: what detectors see; asked only for sets with `weights`.
        threshold: a pixel is predicted an artifact if P is at least this, in [0, 1].

    Returns:
        measures: [{label, unit}], the IoU of the prediction in percent first.
        sets: [[pool, recipe, backbone]].
        clean: [{id, prompt, source, image}], each image once, base64 of WebP.
        images: [{set, clean: indices; image; size: [width, height]; mask, found: `run_lengths`, found None
            where there is no detector; values: one per measure, None where not defined, "Infinity" as text}].

    Raises:
        UserError: a file is missing or lacks an image.
    """
    content = {
        "measures": [{"label": "IoU", "unit": "%"}, *({"label": m.label, "unit": m.unit} for m in MEASURES)],
        "sets": [],
        "clean": [],
        "images": [],
    }
    known: dict[tuple[str, str], int] = {}
    for group in sets:
        strength = figures.read_strength(group.strength)
        if figures.with_region(strength).empty:
            continue
        chosen = figures.draw(strength, count, seed)
        _add_clean(group, chosen, known, content["clean"])
        records = figures.fetch(group.corrupted, chosen)
        found = dict(predict(group, records)) if group.weights else {}
        for record, (_, measures) in zip(records, chosen.iterrows(), strict=True):
            content["images"].append(
                {
                    "set": len(content["sets"]),
                    "clean": known[group.pool, record.id],
                    "image": _webp(record.image),
                    "size": [record.mask.shape[1], record.mask.shape[0]],
                    "mask": run_lengths(record.mask),
                    **_prediction(found.get(record.id), record.mask, threshold, measures),
                }
            )
        content["sets"].append([group.pool, group.recipe, group.backbone])
    return content


def _add_clean(group: CorruptedSet, chosen: pd.DataFrame, known: dict, clean: list) -> None:
    """Appends the clean images that no set before had drawn."""
    new = chosen[[(group.pool, name) not in known for name in chosen["id"]]]
    for record in figures.fetch(group.clean, new):
        known[group.pool, record.id] = len(clean)
        clean.append({"id": record.id, "prompt": record.prompt, "source": record.source, "image": _webp(record.image)})


def _prediction(probability: np.ndarray | None, mask: np.ndarray, threshold: float, measures: pd.Series) -> dict:
    strength = [_number(measures[m.column] * m.scale) for m in MEASURES]
    if probability is None:
        return {"found": None, "values": [None, *strength]}
    count = confusion(probability, mask, threshold)
    union = count["tp"] + count["fp"] + count["fn"]
    score = float(iou(np.array([count["tp"]]), np.array([union])))
    return {"found": run_lengths(probability >= threshold), "values": [_number(score), *strength]}


def _number(value: float) -> float | str | None:
    """What JSON can hold of a number, to four digits."""
    if math.isnan(value):
        return None
    return float(f"{value:.4g}") if math.isfinite(value) else "Infinity"


def _webp(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    lossless = max(image.shape[:2]) <= LOSSLESS_SIDE
    Image.fromarray(image).save(buffer, format="WEBP", lossless=lossless, quality=QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()

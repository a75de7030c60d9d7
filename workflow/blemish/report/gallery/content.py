"""What the gallery shows: images drawn from every corrupted pool, their masks, predictions and measures."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from blemish.data.images import run_lengths
from blemish.data.records import Record
from blemish.evaluation.measures import confusion, percent
from blemish.experiments import CorruptedPool
from blemish.report.examples import drawn, fetch
from blemish.report.strength_table import read_strength, with_region

LOSSLESS_SIDE = 128
"""Images up to this side are enlarged pixel by pixel, so that a codec's own errors would be seen in them."""

QUALITY = 85  # of WebP, for larger images


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

Paths = Sequence[str | PathLike]
Predict = Callable[[CorruptedPool, Sequence[Record]], Iterable[tuple[str, np.ndarray]]]
"""(id, P (h, w) in [0, 1]) of each record by the detector that was trained on the corrupted pool; none without one."""


def collect(
    clean: Mapping[str, Paths],
    corrupted: Mapping[CorruptedPool, Paths],
    strength: Mapping[CorruptedPool, Paths],
    count: int,
    seed: int,
    predict: Predict,
    threshold: float,
) -> dict:
    """Draws `count` images with a region from each corrupted pool and gathers all that the page shows of them.

    Args:
        clean: per pool its shards.
        corrupted, strength: the same of each corrupted pool; one in which no image has a region adds nothing.
        count: images per corrupted pool.
        seed: decides with an image's id whether it is drawn (`examples.drawn`).
        predict: what detectors see.
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
    shown = [{"label": "IoU", "unit": "%"}, *({"label": m.label, "unit": m.unit} for m in MEASURES)]
    content = {"measures": shown, "sets": [], "clean": [], "images": []}
    known: dict[tuple[str, str], int] = {}
    for name, shards in corrupted.items():
        measured = read_strength(strength[name])
        if with_region(measured).empty:
            continue
        chosen = drawn(measured, count, seed)
        new = chosen[[(name.pool, id) not in known for id in chosen["id"]]]
        for record in fetch(clean[name.pool], new):
            known[name.pool, record.id] = len(content["clean"])
            told = {"id": record.id, "prompt": record.prompt, "source": record.source}
            content["clean"].append({**told, "image": _webp(record.image)})
        records = fetch(shards, chosen)
        found = dict(predict(name, records))
        for record, (_, measures) in zip(records, chosen.iterrows(), strict=True):
            image = {
                "set": len(content["sets"]),
                "clean": known[name.pool, record.id],
                "image": _webp(record.image),
                "size": [record.mask.shape[1], record.mask.shape[0]],
                "mask": run_lengths(record.mask),
            }
            content["images"].append(image | _prediction(found.get(record.id), record.mask, threshold, measures))
        content["sets"].append(list(name))
    return content


def _prediction(probability: np.ndarray | None, mask: np.ndarray, threshold: float, measures: pd.Series) -> dict:
    strength = [_number(measures[m.column] * m.scale) for m in MEASURES]
    if probability is None:
        return {"found": None, "values": [None, *strength]}
    count = confusion(probability, mask, threshold)
    score = percent(count["tp"], count["tp"] + count["fp"] + count["fn"], empty=1.0)
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

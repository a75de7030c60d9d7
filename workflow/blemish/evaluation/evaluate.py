"""How well a detector finds artifacts on a test set (§4.4): what each image contributes, and the summary.

Every number follows from the per-image results, which are kept: a summary can be repeated without a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from blemish.data.files import atomic, write_text
from blemish.data.records import Paths, Record, read_records
from blemish.detection.predict import probabilities
from blemish.detection.settings import Backbone, Inference
from blemish.errors import UserError
from blemish.evaluation.intervals import interval
from blemish.evaluation.measures import average_precision, iou, measure, percent


def evaluate(
    weights: Path,
    backbone: Backbone,
    test: Paths,
    threshold: float,
    inference: Inference,
    per_image: Path,
    metrics: Path,
) -> dict[str, float]:
    """Judges a detector on images with masks; returns its `summarise`.

    Args:
        weights: of the detector.
        backbone: its network.
        test: shards of records, all of one size.
        threshold: in [0, 1]; a pixel is an artifact from this P on.
        inference: as in `probabilities`.
        per_image: Parquet to write, a row of `measure` per image.
        metrics: JSON to write, the summary.

    Raises:
        UserError: a file is missing or damaged, the weights do not fit the network, or an image lacks a mask of its
            size or has another size than the first.
    """
    found = probabilities(weights, backbone, _usable(test), inference)
    rows = pd.DataFrame(
        measure(record.id, probability, record.mask, threshold)
        for record, (_, probability) in zip(read_records(test, ["mask"]), found, strict=True)
    )
    summary = summarise(rows)
    with atomic(per_image) as temporary:
        rows.to_parquet(temporary, write_page_checksum=True)
    write_text(metrics, json.dumps(summary, indent=2) + "\n")
    return summary


def _usable(test: Paths) -> Iterator[Record]:
    """The records; refuses those that can't be judged before a batch is made of them."""
    first = None
    for record in read_records(test, ["image", "mask"]):
        if record.image is None or record.mask is None:
            raise UserError(f"the record {record.id} lacks its image or its mask: give a set that holds both.")
        first = first or record
        if record.image.shape != first.image.shape or record.mask.shape != first.image.shape[:2]:
            raise UserError(f"{record.id} and its mask are not of the size of {first.id}: give records of one size.")
        yield record


def summarise(per_image: pd.DataFrame) -> dict[str, float]:
    """The numbers of a detector from the rows of `measure`.

    Returns:
        In percent: iou (artifact class over all pixels of all images) with its 95 % interval iou_low,
        iou_high; mean_image_iou, in which an image without artifacts where none was found counts 100;
        two_class_miou; f1, precision, recall, average_precision. Counts: images, empty_truth (images
        without an artifact).

    Raises:
        UserError: the test set is empty.
    """
    if per_image.empty:
        raise UserError("the test set is empty: see the log of the rule that made it.")
    tp, fp, fn, tn = (per_image[name].to_numpy(np.float64) for name in ("tp", "fp", "fn", "tn"))
    low, high = interval(iou, (tp, tp + fp + fn))
    return {
        "iou": float(iou(tp, tp + fp + fn)),
        "iou_low": low,
        "iou_high": high,
        "mean_image_iou": float(percent(tp, tp + fp + fn, empty=1.0).mean()),
        "two_class_miou": float((iou(tp, tp + fp + fn) + iou(tn, tn + fp + fn)) / 2),
        "f1": float(percent(2 * tp.sum(), (2 * tp + fp + fn).sum())),
        "precision": float(percent(tp.sum(), (tp + fp).sum())),
        "recall": float(percent(tp.sum(), (tp + fn).sum())),
        "average_precision": average_precision(per_image),
        "images": len(per_image),
        "empty_truth": int((tp + fn == 0).sum()),
    }

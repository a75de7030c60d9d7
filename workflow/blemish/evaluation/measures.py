"""How well a detector finds artifacts, and how sure that is (§4.4). IoU is of the artifact class, in percent.

Everything follows from per-image results (`measure`), which are kept: numbers can be made anew without a GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from blemish.errors import UserError

BINS = 256  # of the probabilities in [0, 1], for average precision
RESAMPLES = 5000
CONFIDENCE = 0.95
SEED = 0  # of the resampling alone, so that a summary can be repeated


def confusion(probability: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, int]:
    """Counts the pixels of an image by prediction (probability >= threshold) and truth.

    Args:
        probability: (h, w) in [0, 1].
        truth: (h, w) bool, True = artifact.
        threshold: in [0, 1].

    Returns:
        {"tp", "fp", "fn", "tn"}, which add up to h * w.
    """
    # ASSUME: selector.tau; f(I)(x) >= tau is taken on the softmax probability of the artifact class
    predicted = probability >= threshold
    tp, fp = int((predicted & truth).sum()), int((predicted & ~truth).sum())
    return {"tp": tp, "fp": fp, "fn": int(truth.sum()) - tp, "tn": int((~truth).sum()) - fp}


def measure(id: str, probability: np.ndarray, truth: np.ndarray, threshold: float) -> dict:
    """One image's row of per-image results.

    Args:
        id: of the image.
        probability: (h, w) in [0, 1].
        truth: (h, w) bool, True = artifact.
        threshold: in [0, 1].

    Returns:
        id; tp, fp, fn, tn; artifact and background: how many such pixels have a probability in each of
        `BINS` equal bins, as lists.

    Raises:
        UserError: there is no truth, or it has another size.
    """
    if truth is None or truth.shape != probability.shape:
        size = "no mask" if truth is None else f"a mask of {truth.shape}"
        raise UserError(f"the test image {id} of {probability.shape} has {size}: make the test set anew.")
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    return {
        "id": id,
        **confusion(probability, truth, threshold),
        "artifact": np.bincount(bins[truth], minlength=BINS).tolist(),
        "background": np.bincount(bins[~truth], minlength=BINS).tolist(),
    }


def summarise(per_image: pd.DataFrame) -> dict[str, float]:
    """The numbers of a detector from the rows of `measure`.

    Returns:
        In percent: iou (artifact class over all pixels of all images) with its 95 % interval iou_low,
        iou_high; mean_image_iou, in which an image without artifacts where none was found counts 100;
        two_class_miou; f1, precision, recall, average_precision. Counts: images, empty_truth (images
        without an artifact).

    Raises:
        UserError: there are no images.
    """
    if per_image.empty:
        raise UserError("there is no image to evaluate on: the test set is empty.")
    tp, fp, fn, tn = (per_image[name].to_numpy(np.float64) for name in ("tp", "fp", "fn", "tn"))
    low, high = _interval(iou, (tp, tp + fp + fn))
    # ASSUME: "mIoU" goes down to 0.22 in Table 2, so it is not a mean over two classes
    return {
        "iou": float(iou(tp, tp + fp + fn)),
        "iou_low": low,
        "iou_high": high,
        "mean_image_iou": float(_percent(tp, tp + fp + fn, empty=1.0).mean()),
        "two_class_miou": float((iou(tp, tp + fp + fn) + iou(tn, tn + fp + fn)) / 2),
        "f1": float(_percent(2 * tp.sum(), (2 * tp + fp + fn).sum())),
        "precision": float(_percent(tp.sum(), (tp + fp).sum())),
        "recall": float(_percent(tp.sum(), (tp + fn).sum())),
        "average_precision": _average_precision(per_image),
        "images": len(per_image),
        "empty_truth": int((tp + fn == 0).sum()),
    }


def paired_difference(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float]:
    """How much higher the IoU of detector a is than that of b on the same images.

    Args:
        a: rows of `measure`.
        b: rows of `measure` of the same images, in any order.

    Returns:
        difference, low, high: points of IoU and the 95 % interval over images, drawn for both together.

    Raises:
        UserError: the images are not the same.
    """
    if set(a["id"]) != set(b["id"]):
        raise UserError("two detectors were evaluated on different images: evaluate both on the same test set.")
    counts = []
    for frame in (a.sort_values("id"), b.sort_values("id")):
        tp, fp, fn = (frame[name].to_numpy(np.float64) for name in ("tp", "fp", "fn"))
        counts += [tp, tp + fp + fn]
    low, high = _interval(_difference, counts)
    return {"difference": float(_difference(*counts)), "low": low, "high": high}


def iou(intersection: np.ndarray, union: np.ndarray, axis: int = -1) -> np.ndarray:
    """Aggregate IoU in percent: summed over `axis` first. Nothing there and nothing found is 100."""
    return _percent(intersection.sum(axis), union.sum(axis), empty=1.0)


def _difference(
    intersection_a: np.ndarray,
    union_a: np.ndarray,
    intersection_b: np.ndarray,
    union_b: np.ndarray,
    axis: int = -1,
) -> np.ndarray:
    return iou(intersection_a, union_a, axis) - iou(intersection_b, union_b, axis)


def _percent(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """100 * part / whole, and 100 * `empty` where whole is 0."""
    whole = np.asarray(whole)
    return 100 * np.where(whole > 0, part / np.maximum(whole, 1), empty)


def _average_precision(per_image: pd.DataFrame) -> float:
    """Area under the precision-recall curve over all pixels, in percent; each filled bin is one threshold."""
    artifact, background = (
        np.stack(per_image[name].to_numpy()).sum(0)[::-1].astype(np.float64) for name in ("artifact", "background")
    )
    if not artifact.sum():
        return 0.0
    found = artifact.cumsum()
    precision = found / np.maximum(found + background.cumsum(), 1)
    return float(100 * (precision * artifact).sum() / artifact.sum())


def _interval(statistic: Callable, counts: Sequence[np.ndarray]) -> tuple[float, float]:
    """The 95 % bootstrap interval over images (BCa, 5,000 resamples).

    Where BCa is not defined, because no resample differs from another or all lie on one side, the
    percentiles are taken; of a single image, which says nothing about others, the whole range.
    """
    from scipy.stats import bootstrap  # half a second, and only summaries need it

    if len(counts[0]) < 2:
        return (0.0, 100.0) if len(counts) == 2 else (-100.0, 100.0)
    settings = {
        "statistic": statistic,
        "paired": True,
        "vectorized": True,
        "axis": 0,
        "n_resamples": RESAMPLES,
        "confidence_level": CONFIDENCE,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy says at length that BCa is not defined
        found = bootstrap(counts, method="BCa", rng=SEED, **settings).confidence_interval
        if not np.isfinite([found.low, found.high]).all():
            found = bootstrap(counts, method="percentile", rng=SEED, **settings).confidence_interval
    return float(found.low), float(found.high)

"""What is counted of each test image, and the measures that follow from the counts (§4.4), in percent."""

from __future__ import annotations

import numpy as np
import pandas as pd

BINS = 256  # of the probabilities in [0, 1], for average precision


def confusion(probability: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, int]:
    """Counts the pixels of an image by prediction (probability >= threshold) and truth.

    Args:
        probability: (h, w) in [0, 1].
        truth: (h, w) bool, True = artifact.
        threshold: in [0, 1].

    Returns:
        {"tp", "fp", "fn", "tn"}, which add up to h * w.
    """
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
    """
    bins = levels(probability)
    return {
        "id": id,
        **confusion(probability, truth, threshold),
        "artifact": np.bincount(bins[truth], minlength=BINS).tolist(),
        "background": np.bincount(bins[~truth], minlength=BINS).tolist(),
    }


def levels(probability: np.ndarray) -> np.ndarray:
    """The one of `BINS` equal bins that each probability in [0, 1] lies in: floor(256 P), 255 at most, uint8."""
    return np.minimum(probability * BINS, BINS - 1).astype(np.uint8)


def iou(intersection: np.ndarray, union: np.ndarray, axis: int = -1) -> np.ndarray:
    """Aggregate IoU in percent: summed over `axis` first. Nothing there and nothing found is 100."""
    return percent(intersection.sum(axis), union.sum(axis), empty=1.0)


def percent(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """100 * part / whole, and 100 * `empty` where whole is 0."""
    whole = np.asarray(whole)
    return 100 * np.where(whole > 0, part / np.maximum(whole, 1), empty)


def average_precision(per_image: pd.DataFrame) -> float:
    """Area under the precision-recall curve over all pixels, in percent; each filled bin is one threshold."""
    artifact, background = (np.stack(per_image[name].to_numpy()).sum(0)[::-1] for name in ("artifact", "background"))
    if not artifact.sum():
        return 0.0
    found = artifact.cumsum()
    precision = found / np.maximum(found + background.cumsum(), 1)
    return float(100 * (precision * artifact).sum() / artifact.sum())

"""From RichHF's continuous artifact maps to binary masks (paper §4.1): three annotators, two of three.

A published map is the mean over annotators of what each marked, times 255. With n annotators its plateaus lie at
255 k/n, so a plateau at a fraction whose lowest denominator is n is evidence of n annotators. Lossy compression
blurs the edges between plateaus: only pixels in a flat neighbourhood are counted, within a tolerance.
Ratings tell n as well: a score is (mean - 1)/4 of integers, so that 4 n times the score is an integer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Literal

import numpy as np
from PIL import Image

from blemish.data.images import decode
from blemish.labels.settings import Labels

# What distinguishes a plateau from a compressed edge; benchmarks/simulated_richhf.py shows both at qualities 50 to 95.
FLATNESS = 6  # the largest range, in 0..255, of a plateau pixel's 3x3 neighbourhood
PLATEAU_SHARE = 1 / 8192  # of a map's pixels makes a plateau: 32 pixels of 512x512, an annotator's disc has 2,000
SCORE_TOLERANCE = 0.05  # of the integer 4 n score; thirds and halves are 0.17 apart
MOST = 5  # annotators that are looked for, where a sample shows more than `labels.annotators`

# What a map shows when its plateaus do not tell the number of annotators.
Doubt = Literal["all_zero", "saturated", "unclear"]


@dataclass(frozen=True)
class Evidence:
    """What a sample shows about the number of its annotators.

    Attributes:
        levels: plateau pixels at each level 255 k/n, in 0..255, and under None those at no such level.
        from_map: the number of annotators that the plateaus show, or None.
        from_scores: the number that the ratings show, or None.
        doubt: why `from_map` is None; None if it is not.
        more: whether plateaus or ratings show more annotators than the policy's, up to `MOST`; decides nothing.
    """

    levels: dict[float | None, int]
    from_map: int | None
    from_scores: int | None
    doubt: Doubt | None
    more: bool = False


@dataclass(frozen=True)
class Verdict:
    """What becomes of a sample: `annotators` is None if unknown; `evidence` is plateaus, scores or none."""

    kept: bool
    reason: str
    annotators: int | None
    evidence: Literal["plateaus", "scores", "none"]


def decode_map(content: bytes) -> np.ndarray:
    """Decodes a map from any image container.

    Returns:
        (h, w) uint8.

    Raises:
        ValueError: the bytes are not an 8-bit image; the message names what they begin with.
    """
    image = decode(content)
    if image.mode not in ("1", "L", "P", "RGB"):
        raise ValueError(f"its pixels are {image.mode}, not 8-bit gray")
    return np.array(image.convert("L"))


def binarize(pixels: np.ndarray, policy: Labels) -> np.ndarray:
    """Marks the pixels that at least `policy.votes` of `policy.annotators` marked: value > 127.5 for two of three.

    Args:
        pixels: (h, w) uint8 map.

    Returns:
        (h, w) bool.
    """
    return pixels > 255 * (policy.votes - 0.5) / policy.annotators


def weigh(pixels: np.ndarray, scores: Mapping[str, float], policy: Labels) -> Evidence:
    """Collects the evidence of one sample: a (h, w) uint8 map and its scores in 0..1."""
    histogram = count_levels(pixels, local_range(pixels) <= FLATNESS)
    counts = _count_plateaus(histogram, policy)
    enough = max(1, round(PLATEAU_SHARE * pixels.size))
    own: Counter[int] = Counter()  # number of annotators -> pixels at the levels that show it
    for level, n in _levels(policy.annotators).items():
        own[n] += counts[level]
    from_map = max((n for n, shown in own.items() if n > 1 and shown >= enough), default=None)
    doubt: Doubt | None = None
    if from_map is None and pixels.max() <= policy.tolerance:
        doubt = "all_zero"
    elif from_map is None:
        doubt = "saturated" if counts[255.0] >= enough > counts[None] else "unclear"
    more = _count_beyond(histogram, policy) >= enough
    more |= (annotators_of_scores(scores, MOST) or 0) > policy.annotators
    return Evidence(counts, from_map, annotators_of_scores(scores, policy.annotators), doubt, more)


def decide(evidence: Evidence, policy: Labels) -> Verdict:
    """Applies the paper's rule and the policy for what it leaves open."""
    known, source = evidence.from_map, "plateaus"
    if known is None and policy.scores == "use":
        known, source = evidence.from_scores, "scores"
    if known is not None:
        kept = known >= policy.annotators
        return Verdict(kept, "enough_annotators" if kept else "too_few_annotators", known, source)
    kept = getattr(policy.ambiguous, evidence.doubt) == "keep"
    return Verdict(kept, evidence.doubt, None, "none")


def _count_plateaus(histogram: np.ndarray, policy: Labels) -> dict[float | None, int]:
    """Of the (256,) plateau pixels those at each level 255 k/n, n up to `policy.annotators`, and elsewhere (None)."""
    counts: dict[float | None, int] = {}
    for level in sorted(_levels(policy.annotators)):
        counts[level] = int(histogram[_near([level], policy)].sum())
    counts[None] = int(histogram.sum()) - sum(counts.values())
    return counts


def _count_beyond(histogram: np.ndarray, policy: Labels) -> int:
    """How many of the (256,) plateau pixels lie at levels that only more annotators than `policy.annotators` give."""
    known = _levels(policy.annotators)
    return int(histogram[_near([*_levels(MOST).keys() - known.keys()], policy) & ~_near([*known], policy)].sum())


def _near(levels: list[float], policy: Labels) -> np.ndarray:
    """(256,) bool, which values of a map are within the tolerance of a level."""
    return (abs(np.arange(256)[:, None] - np.array(levels)) <= policy.tolerance).any(axis=1)


def count_levels(pixels: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Histogram of a (h, w) uint8 map, (256,), all over or where (h, w) bool is true.

    Pillow's takes half the time of `np.bincount`, which converts to 64-bit integers first.
    """
    return np.array(Image.fromarray(pixels).histogram(None if where is None else Image.fromarray(where.view(np.uint8))))


def local_range(pixels: np.ndarray) -> np.ndarray:
    """Largest minus smallest value of each pixel's 3x3 neighbourhood: (h, w) uint8 -> (h, w) uint8."""
    padded = np.pad(pixels, 1, mode="edge")
    extremes = []
    for pick in (np.maximum, np.minimum):
        rows = pick(pick(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
        extremes.append(pick(pick(rows[:-2], rows[1:-1]), rows[2:]))
    return extremes[0] - extremes[1]


def annotators_of_scores(scores: Mapping[str, float], most: int) -> int | None:
    """The smallest n > 1 that explains all scores as (mean - 1)/4 of n integers; None if n = 1 does, or none."""
    steps = 4 * np.array(list(scores.values()))
    for n in range(1, most + 1):
        if len(steps) and np.all(abs(n * steps - np.round(n * steps)) <= SCORE_TOLERANCE):
            return n if n > 1 else None
    return None


def _levels(annotators: int) -> dict[float, int]:
    """Level 255 k/n -> its lowest denominator, for all n up to `annotators`; 0 and 255 belong to n = 1."""
    return {255 * k / n: n // gcd(k, n) for n in range(1, annotators + 1) for k in range(n + 1)}

"""How sure a number is: bootstrap intervals over test images, and over trainings where there are several."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from blemish.evaluation.measures import iou

BOUNDS = (2.5, 97.5)  # percentiles: 95 % lie between them
RESAMPLES = 5000  # for the interval of one detector
DRAWS = 2000  # of all detectors together, for differences between them
SEED = 0  # of all resampling of images, so that it can be repeated


def interval(statistic: Callable, counts: Sequence[np.ndarray]) -> tuple[float, float]:
    """The 95 % bootstrap interval over images (BCa, 5,000 resamples) of one detector's number, in percent.

    Where BCa is not defined, because no resample differs from another or all lie on one side, the
    percentiles are taken. A single image says nothing about others: its interval is the whole range.

    Args:
        statistic: (counts..., axis) -> the number in 0..100; a resample takes the same images of all counts.
        counts: arrays (images,).
    """
    from scipy.stats import bootstrap  # half a second, and only summaries need it

    if len(counts[0]) < 2:
        return 0.0, 100.0
    resample = partial(bootstrap, counts, statistic, paired=True, vectorized=True, n_resamples=RESAMPLES, rng=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy says at length that BCa is not defined
        found = resample(method="BCa").confidence_interval
        if not np.isfinite([found.low, found.high]).all():
            found = resample(method="percentile").confidence_interval
    return float(found.low), float(found.high)


def paired_draws(counts: Mapping[Sequence[str], np.ndarray]) -> dict[Sequence[str], np.ndarray]:
    """The IoU of each detector in percent, followed by DRAWS bootstrap draws of it: (1 + DRAWS,).

    A draw takes test images with replacement, the same ones for every detector (paired); of a detector with
    several seeds, it draws the seeds too. The estimate is the mean over seeds.

    Args:
        counts: detector -> (seeds, 2, images), pixels of the intersection and of the union; the images in the
            same order for all.
    """
    images = next(iter(counts.values())).shape[-1]
    drawn = np.random.default_rng(SEED).multinomial(images, np.full(images, 1 / images), size=DRAWS)
    weights = np.vstack([np.ones(images), drawn])  # (1 + draws, images)
    ious = {}
    for detector, pixels in counts.items():
        sums = pixels @ weights.T  # (seeds, 2, 1 + draws)
        seeds = iou(sums[:, 0, :, None], sums[:, 1, :, None])  # (seeds, 1 + draws)
        rng = np.random.default_rng(zlib.crc32("/".join(detector).encode()))  # whatever else is judged
        chosen = rng.integers(len(seeds), size=(len(seeds), DRAWS))
        draws = np.take_along_axis(seeds[:, 1:], chosen, axis=0).mean(axis=0)
        ious[detector] = np.append(seeds[:, 0].mean(), draws)
    return ious


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """The bounds between which 95 % of the draws (n,) lie."""
    low, high = np.percentile(draws, BOUNDS)
    return float(low), float(high)

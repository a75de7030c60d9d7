"""Images of a simulated detector, and their rows of per-image results."""

import numpy as np
import pandas as pd

from blemish.evaluation.measures import measure

THRESHOLD = 0.5


def images(count, seed=0, size=24, skill=2.0, share=0.2):
    """(probability, truth) of images whose detector is right more often than not."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        truth = rng.random((size, size)) < share
        yield 1 / (1 + np.exp(-(rng.normal(0, 1, truth.shape) + skill * truth - 1))), truth


def frame(pairs, threshold=THRESHOLD):
    return pd.DataFrame(measure(f"i{i}", p, truth, threshold) for i, (p, truth) in enumerate(pairs))

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from judged import images

from blemish.evaluation.measures import BINS, confusion, iou, measure


@given(st.integers(0, 99), st.floats(0, 1))
def test_every_pixel_is_counted_once(seed, threshold):
    ((probability, truth),) = images(1, seed)
    counts = confusion(probability, truth, threshold)
    assert sum(counts.values()) == truth.size and min(counts.values()) >= 0
    assert counts["tp"] + counts["fn"] == truth.sum()
    assert counts["tp"] + counts["fp"] == (probability >= threshold).sum()


def test_the_threshold_itself_counts_as_an_artifact():
    assert confusion(np.array([[0.5]]), np.array([[True]]), 0.5)["tp"] == 1


@given(st.integers(0, 99), st.floats(0, 1))
def test_the_bins_hold_every_pixel_of_either_truth(seed, threshold):
    ((probability, truth),) = images(1, seed)
    row = measure("a", probability, truth, threshold)
    assert sum(row["artifact"]) == truth.sum() and sum(row["background"]) == (~truth).sum()
    assert len(row["artifact"]) == BINS
    assert sum(row["artifact"][BINS // 2 :]) == (truth & (probability >= 0.5)).sum()


def test_nothing_there_and_nothing_found_is_right():
    nothing = np.zeros(3)
    assert iou(nothing, nothing) == 100 and iou(nothing, np.array([0, 2, 0])) == 0

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged import images

from blemish.evaluation.measures import BINS, average_precision, confusion, iou, levels, measure, percent


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


@pytest.mark.parametrize(
    ("probability", "level"), [(0.0, 0), (1 / 256, 1), (0.5, 128), (254.9 / 256, 254), (255 / 256, 255), (1.0, 255)]
)
def test_certainty_falls_into_the_last_of_the_bins(probability, level):
    found = levels(np.array([[probability]]))
    assert found.tolist() == [[level]] and found.dtype == np.uint8


def test_a_row_names_its_image_and_counts_its_bins():
    row = measure("a", np.array([[1.0, 0.5, 0.0]]), np.array([[True, False, False]]), 0.5)
    assert row.pop("artifact") == [0] * 255 + [1]
    assert row.pop("background") == [1] + [0] * 127 + [1] + [0] * 127
    assert row == {"id": "a", "tp": 1, "fp": 1, "fn": 0, "tn": 1}


@pytest.mark.parametrize(
    ("part", "whole", "expected"), [(1, 1, 100), (0, 1, 0), (1, 2, 50), (3, 4, 75), (0, 0, 0), (2, 0, 0)]
)
def test_a_share_of_nothing_is_none(part, whole, expected):
    assert percent(np.array(part), np.array(whole)) == expected


def test_average_precision_by_hand():
    """Recall 1/2 at precision 1, then recall 1 at precision 2/3; without an artifact there is nothing to find."""
    probability = np.array([[0.9, 0.6, 0.3, 0.1]])
    truth = np.array([[True, False, True, False]])
    rows = pd.DataFrame([measure("a", probability, truth, 0.5)])
    assert average_precision(rows) == pytest.approx(100 * (1 / 2 + 2 / 3 / 2))
    assert average_precision(pd.DataFrame([measure("a", probability, truth & False, 0.5)])) == 0

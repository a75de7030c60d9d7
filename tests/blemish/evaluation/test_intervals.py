"""Bootstrap intervals: as wide as they should be, paired where they say so."""

import ast

import numpy as np
import pytest
from judged import frame, images

from blemish.config.load import ROOT
from blemish.evaluation.evaluate import summarise
from blemish.evaluation.intervals import DRAWS, interval, paired_draws, percentiles
from blemish.evaluation.measures import iou


def test_the_interval_covers_the_truth_as_often_as_it_says():
    whole = frame(images(2000, size=8, share=0.1))
    tp, union = whole["tp"].sum(), (whole["tp"] + whole["fp"] + whole["fn"]).sum()
    covered = 0
    for seed in range(60):
        drawn = summarise(whole.sample(60, random_state=seed))
        covered += drawn["iou_low"] <= 100 * tp / union <= drawn["iou_high"]
        assert drawn["iou_low"] <= drawn["iou"] <= drawn["iou_high"]
    assert 52 <= covered <= 60  # 95 % of 60 is 57, with a standard deviation of 1.7


def test_a_detector_that_finds_nothing_has_no_width():
    pairs = [(np.zeros_like(p), truth) for p, truth in images(5)]
    summary = summarise(frame(pairs))
    assert (summary["iou"], summary["iou_low"], summary["iou_high"]) == (0, 0, 0)


def test_one_image_says_nothing_about_others():
    summary = summarise(frame(images(1)))
    assert (summary["iou_low"], summary["iou_high"]) == (0, 100)


def test_two_images_say_no_more_than_lies_between_them():
    """A resample has either image twice, or both: IoUs of 25, 50 and 75 %."""
    low, high = interval(iou, [np.array([1, 3]), np.array([4, 4])])
    assert 25 <= low < high <= 75


def test_a_detector_that_is_always_right_has_no_width():
    """A resample takes an image's intersection together with its own union, however much the images differ."""
    artifact = np.array([1, 10, 100, 1000, 10000])
    assert interval(iou, [artifact, artifact]) == (100, 100)


def test_an_interval_without_bca_is_the_same_every_time():
    """Leaving one of three marked images out changes nothing, so BCa is not defined. Resamples without any of them,
    where nothing is found and nothing is there, are (6/9)^9 = 2.6 % of all, about as many as a bound leaves out.
    """
    tp, union = np.zeros(9), np.array([5.0] * 3 + [0] * 6)
    found = {interval(iou, [tp, union]) for _ in range(10)}
    assert len(found) == 1 and found.pop()[0] == 0


def counts(rows):
    """(1 seed, 2, images): pixels of the intersection and of the union."""
    tp, fp, fn = (rows[name].to_numpy(float) for name in ("tp", "fp", "fn"))
    return np.stack([tp, tp + fp + fn])[None]


A, B = ("hps", "a", "swin-t"), ("hps", "b", "swin-t")


def test_a_paired_difference_is_surer_than_two_intervals():
    rng = np.random.default_rng(1)
    hard = [(p * scale, truth) for (p, truth), scale in zip(images(60), rng.uniform(0.5, 1, 60), strict=True)]
    better, worse = frame(hard), frame([(0.97 * p, truth) for p, truth in hard])
    draws = paired_draws({A: counts(better), B: counts(worse)})
    difference = draws[A] - draws[B]
    assert difference[0] == pytest.approx(summarise(better)["iou"] - summarise(worse)["iou"])
    low, high = percentiles(difference[1:])
    assert 0 < low < difference[0] < high
    assert high - low < summarise(better)["iou_high"] - summarise(better)["iou_low"]


def test_percentiles_of_one_detector_lie_near_its_own_interval():
    rows = frame(images(100, share=0.1))
    low, high = percentiles(paired_draws({A: counts(rows)})[A][1:])
    summary = summarise(rows)
    assert (low, high) == pytest.approx((summary["iou_low"], summary["iou_high"]), abs=0.4)


def test_what_else_is_judged_changes_no_draw():
    first, second = counts(frame(images(20, 1))), counts(frame(images(20, 2)))
    seeds = np.concatenate([first, second])
    alone, together = paired_draws({B: seeds}), paired_draws({A: first, B: seeds})
    assert alone[B].shape == (1 + DRAWS,) and np.array_equal(alone[B], together[B])


def test_seeds_are_drawn_with_the_images():
    first, second = counts(frame(images(20, 1))), counts(frame(images(20, 1, skill=0.5)))
    low, high = percentiles(paired_draws({A: np.concatenate([first, second])})[A][1:])
    narrow = percentiles(paired_draws({A: np.concatenate([first, first])})[A][1:])
    assert high - low > 2 * (narrow[1] - narrow[0])


def reached(script):
    """The package's modules that a script imports, directly or through others."""
    found, waiting = set(), [ROOT / "scripts" / script]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("blemish"):
                for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                    path = ROOT / "workflow" / f"{name.replace('.', '/')}.py"
                    if path.is_file() and name not in found:
                        found.add(name)
                        waiting.append(path)
    return found


@pytest.mark.parametrize("script", ["train_detector.py", "select_regions.py", "predict.py", "gallery.py"])
def test_another_bootstrap_makes_neither_detectors_nor_regions_nor_maps_stale(script):
    """A job's fingerprint follows what it imports."""
    assert "blemish.detection.models" in reached(script) and "blemish.evaluation.intervals" not in reached(script)
    assert "blemish.evaluation.intervals" in reached("evaluate.py")

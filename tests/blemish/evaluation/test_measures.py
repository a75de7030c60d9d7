import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blemish.errors import UserError
from blemish.evaluation.measures import BINS, confusion, measure, paired_difference, summarise

THRESHOLD = 0.5


def images(count, seed=0, size=24, skill=2.0, share=0.2):
    """(probability, truth) of images whose detector is right more often than not."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        truth = rng.random((size, size)) < share
        yield 1 / (1 + np.exp(-(rng.normal(0, 1, truth.shape) + skill * truth - 1))), truth


def frame(pairs, threshold=THRESHOLD):
    return pd.DataFrame(measure(f"i{i}", p, truth, threshold) for i, (p, truth) in enumerate(pairs))


@given(st.integers(0, 99), st.floats(0, 1))
def test_every_pixel_is_counted_once(seed, threshold):
    ((probability, truth),) = images(1, seed)
    counts = confusion(probability, truth, threshold)
    assert sum(counts.values()) == truth.size and min(counts.values()) >= 0
    assert counts["tp"] + counts["fn"] == truth.sum()
    assert counts["tp"] + counts["fp"] == (probability >= threshold).sum()


def test_the_threshold_itself_counts_as_an_artifact():
    assert confusion(np.array([[0.5]]), np.array([[True]]), 0.5)["tp"] == 1


def test_the_same_numbers_as_mmseg():
    from blemish.detection import mmcv_lite  # noqa: F401  isort: skip
    from mmseg.evaluation import IoUMetric

    pairs = list(images(8))
    metric = IoUMetric(iou_metrics=["mIoU", "mFscore"])
    metric.dataset_meta = {"classes": ("background", "artifact")}
    samples = [
        {
            "pred_sem_seg": {"data": torch.from_numpy((p >= THRESHOLD)[None].astype(np.int64))},
            "gt_sem_seg": {"data": torch.from_numpy(truth[None].astype(np.int64))},
        }
        for p, truth in pairs
    ]
    metric.process({}, samples)
    areas = [sum(area) for area in zip(*metric.results, strict=True)]
    theirs = metric.total_area_to_metrics(*areas, ["mIoU", "mFscore"])
    ours = summarise(frame(pairs))
    assert ours["iou"] == pytest.approx(100 * theirs["IoU"][1])
    assert ours["two_class_miou"] == pytest.approx(100 * np.mean(theirs["IoU"]))
    assert ours["f1"] == pytest.approx(100 * theirs["Fscore"][1])
    assert ours["precision"] == pytest.approx(100 * theirs["Precision"][1])
    assert ours["recall"] == pytest.approx(100 * theirs["Recall"][1])


def test_the_same_numbers_as_torchmetrics():
    import torchmetrics.functional.classification as tm

    pairs = list(images(8))
    p = torch.from_numpy(np.concatenate([p.ravel() for p, _ in pairs]))
    truth = torch.from_numpy(np.concatenate([t.ravel() for _, t in pairs])).long()
    predicted = (p >= THRESHOLD).long()
    ours = summarise(frame(pairs))
    assert ours["iou"] == pytest.approx(100 * tm.binary_jaccard_index(predicted, truth).item())
    assert ours["f1"] == pytest.approx(100 * tm.binary_f1_score(predicted, truth).item())
    assert ours["precision"] == pytest.approx(100 * tm.binary_precision(predicted, truth).item())
    assert ours["recall"] == pytest.approx(100 * tm.binary_recall(predicted, truth).item())
    binned = (p * BINS).floor() / BINS
    assert ours["average_precision"] == pytest.approx(100 * tm.binary_average_precision(binned, truth).item())
    assert ours["average_precision"] == pytest.approx(100 * tm.binary_average_precision(p, truth).item(), abs=0.5)


def test_the_mean_over_images_counts_a_clean_image_left_alone_as_right():
    nothing, something = np.zeros((4, 4)), np.eye(4)
    rows = frame([(nothing, nothing > 0), (something, something > 0), (something, nothing > 0)])
    summary = summarise(rows)
    assert summary["mean_image_iou"] == pytest.approx(100 * (1 + 1 + 0) / 3)
    assert summary["iou"] == pytest.approx(50)
    assert summary["images"] == 3 and summary["empty_truth"] == 2


def test_results_read_back_from_parquet_give_the_same_summary(tmp_path):
    rows = frame(images(5))
    rows.to_parquet(tmp_path / "rows.parquet")
    assert summarise(pd.read_parquet(tmp_path / "rows.parquet")) == summarise(rows)


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


def test_a_paired_difference_is_surer_than_two_intervals():
    rng = np.random.default_rng(1)
    hard = [(p * scale, truth) for (p, truth), scale in zip(images(60), rng.uniform(0.5, 1, 60), strict=True)]
    worse = [(0.97 * p, truth) for p, truth in hard]
    a, b = frame(hard), frame(worse)
    found = paired_difference(a, b.sample(frac=1, random_state=0))
    assert found["difference"] == pytest.approx(summarise(a)["iou"] - summarise(b)["iou"])
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["high"] - found["low"] < summarise(a)["iou_high"] - summarise(a)["iou_low"]
    turned = paired_difference(b, a)
    assert turned["difference"] == pytest.approx(-found["difference"])
    assert paired_difference(a, a) == {"difference": 0, "low": 0, "high": 0}


def test_detectors_are_compared_on_the_same_images_only():
    rows = frame(images(3))
    with pytest.raises(UserError, match="different images"):
        paired_difference(rows, rows[:2])
    with pytest.raises(UserError, match="no image"):
        summarise(rows[:0])

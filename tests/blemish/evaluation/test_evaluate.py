"""The summary of a detector: the numbers of other libraries, and the cases that they leave open."""

import numpy as np
import pandas as pd
import pytest
import torch
from judged import THRESHOLD, frame, images

from blemish.errors import UserError
from blemish.evaluation.evaluate import summarise
from blemish.evaluation.measures import BINS


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


def test_an_empty_test_set_is_named():
    with pytest.raises(UserError, match="the test set is empty"):
        summarise(frame(images(3))[:0])

"""Plots: curves and maps show the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest

from blemish.data.records import Record, write_records
from blemish.errors import UserError
from blemish.evaluation.evaluate import summarise
from blemish.evaluation.measures import measure
from blemish.experiments import Detector
from blemish.report import plots


def test_recipes_of_one_method_share_a_hue_and_none_a_colour():
    names = ["human", "pseudo", "proposed-45", "proposed-40", "proposed-30", "blur-30", "rotation-30"]
    found = plots.colours(names)
    assert list(found) == names and len(set(found.values())) == len(names)


def test_precision_and_recall_agree_with_the_evaluation():
    rng = np.random.default_rng(0)
    truths = rng.random((5, 16, 16)) < 0.2
    maps = np.clip(0.5 * truths + 0.6 * rng.random((5, 16, 16)), 0, 1)
    rows = [measure(str(i), p, t, 0.5) for i, (p, t) in enumerate(zip(maps, truths, strict=True))]
    frame = pd.DataFrame(rows)
    recall, precision = plots.recall_and_precision(frame)
    assert (np.diff(recall) >= 0).all() and recall[-1] == 1
    assert precision[-1] == pytest.approx(truths.mean())
    area = (np.diff(recall, prepend=0) * precision).sum()
    numbers = summarise(frame)
    assert 100 * area == pytest.approx(numbers["average_precision"])
    at_half = np.isclose(100 * recall, numbers["recall"]) & np.isclose(100 * precision, numbers["precision"])
    assert at_half.any()


def test_the_step_curve_shows_our_numbers_and_the_papers():
    table = pd.DataFrame(
        {
            "column": "HPS / Swin-T",
            "supervision": ["human", "proposed-30", "proposed-45"],
            "ours": [20.0, 25.0, 27.0],
            "low": [19.0, 24.0, 26.0],
            "high": [21.0, 26.5, 29.0],
            "paper": [26.23, 26.44, 27.16],
        }
    )
    (axes,) = plots.iou_against_step(table, {"proposed-45": 45, "proposed-30": 30}).axes
    drawn = {line.get_label(): line for line in axes.lines}
    assert list(drawn["corruption (paper)"].get_ydata()) == [26.44, 27.16]
    (bars,) = axes.containers
    assert list(bars.lines[0].get_xdata()) == [30, 45] and list(bars.lines[0].get_ydata()) == [25, 27]
    low, high = bars.lines[1]
    assert list(low.get_ydata()) == [24, 26] and list(high.get_ydata()) == [26.5, 29]
    assert drawn["human (ours)"].get_ydata()[0] == 20


def test_every_seed_has_its_curve_in_its_panel():
    loss = pd.DataFrame({"iteration": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "lr": 1e-4})
    seeds = {Detector("hps", "pseudo", "swin-t"): [loss, loss], Detector("richhf-human", "human", "convnext-t"): [loss]}
    panels = {axes.get_title(): axes for axes in plots.loss_curves(seeds).axes}
    assert {title: len(axes.lines) for title, axes in panels.items()} == {
        "hps, swin-t": 2,
        "hps, convnext-t": 0,
        "richhf-human, swin-t": 0,
        "richhf-human, convnext-t": 1,
    }
    assert not panels["hps, convnext-t"].get_visible()
    first, second = panels["hps, swin-t"].lines
    assert first.get_linewidth() > second.get_linewidth() and first.get_color() == second.get_color()


def test_the_heat_map_is_the_mean_of_the_masks(tmp_path):
    masks = np.random.default_rng(0).random((5, 8, 8)) < 0.5
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    write_records(paths[0], [Record(str(i), None, masks[i]) for i in range(3)])
    write_records(paths[1], [Record(str(i), None, masks[i]) for i in range(3, 5)])
    mean = plots.mean_mask(paths)
    np.testing.assert_allclose(mean, masks.mean(0))
    image = plots.region_heat_maps({"hps, swin-t": mean}).axes[0].images[0]
    np.testing.assert_allclose(image.get_array(), 100 * masks.mean(0))
    write_records(tmp_path / "none.parquet", [])
    with pytest.raises(UserError, match="no mask"):
        plots.mean_mask([tmp_path / "none.parquet"])

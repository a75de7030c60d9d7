"""Figures: the right images, the right outlines, the same bytes each time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from blemish.data.records import Record, write_records
from blemish.errors import UserError
from blemish.evaluation.evaluate import summarise
from blemish.evaluation.measures import measure
from blemish.experiments import Detector
from blemish.report import figures, plots
from blemish.report.strength import strength_table, to_markdown


def strength(ids, **columns) -> pd.DataFrame:
    frame = pd.DataFrame({"id": ids, "mask_fraction": 0.1, "latent_distance": 0.5, "changed": 0.5, "part": 0})
    measures = {"psnr_inside": 20.0, "psnr_outside": 40.0, "ssim_inside": 0.5, "ssim_outside": 0.9}
    return frame.assign(**measures).assign(**columns)


def record(name: str, side: int = 8, value: int = 0) -> Record:
    mask = np.zeros((side, side), bool)
    mask[2:5, 2:5] = True
    return Record(name, np.full((side, side, 3), value, np.uint8), mask)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_an_outline_is_where_the_mask_changes(mask):
    h, w = mask.shape
    edges = figures.outline(mask) * (w, h)
    padded = np.pad(mask, 1).astype(int)
    assert len(edges) == np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    for (x0, y0), (x1, y1) in edges.round().astype(int):
        assert (x1 - x0) + (y1 - y0) == 1  # one pixel long, right or down
        one = padded[y0 + 1, x0 + 1]
        other = padded[y0, x0 + 1] if x1 > x0 else padded[y0 + 1, x0]
        assert one != other


def test_which_images_are_drawn_depends_on_seed_and_ids_alone():
    ids = [f"{i}" for i in range(50)]
    frame = strength(ids)
    drawn = list(figures.draw(frame, 6, seed=1)["id"])
    assert list(figures.draw(frame.iloc[::-1].assign(part=3), 6, seed=1)["id"]) == drawn
    assert list(figures.draw(frame, 6, seed=2)["id"]) != drawn
    assert list(figures.draw(frame, 3, seed=1)["id"]) == drawn[:3]


def test_images_without_a_region_are_not_shown():
    frame = strength(["a", "b", "c"], latent_distance=[np.nan, 0.5, np.nan])
    assert list(figures.draw(frame, 6, seed=0)["id"]) == ["b"]
    with pytest.raises(UserError, match="no image has a region"):
        figures.draw(frame[frame["id"] != "b"], 6, seed=0)


def test_the_weakest_are_those_that_changed_least():
    frame = strength(
        ["tiny", "strong", "faint", "fainter", "some"],
        mask_fraction=[0.001, 0.1, 0.1, 0.1, 0.1],
        changed=[0, 0.9, 0, 0, 0.2],
        psnr_inside=[60, 10, 30, 40, 20],
    )
    assert list(figures.weakest(frame, 3)["id"]) == ["fainter", "faint", "some"]


def test_records_come_in_the_chosen_order_from_their_shards(tmp_path):
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    write_records(paths[0], [record("a", value=1), record("b", value=2)])
    write_records(paths[1], [record("c", value=3), record("a", value=4)])
    chosen = pd.DataFrame({"id": ["a", "b", "a"], "part": [1, 0, 0]})
    found = figures.fetch(paths, chosen)
    assert [r.image[0, 0, 0] for r in found] == [4, 2, 1]
    assert all(r.mask.sum() == 9 for r in found)
    with pytest.raises(UserError, match="does not hold the image z"):
        figures.fetch(paths, pd.DataFrame({"id": ["z"], "part": [0]}))


def test_strength_files_know_their_shard(tmp_path):
    for i, ids in enumerate((["a"], ["b", "c"])):
        strength(ids).drop(columns="part").to_csv(tmp_path / f"{i}.csv", index=False)
    assert list(figures.read_strength([tmp_path / "0.csv", tmp_path / "1.csv"])["part"]) == [0, 1, 1]


def test_a_flat_list_of_files_is_dealt_in_order():
    assert figures.split(["a", "b", "c"], {"x": 1, "y": 2}) == {"x": ["a"], "y": ["b", "c"]}


def test_small_images_are_enlarged_without_smoothing(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    figures.save(figures.grid({"": [figures.Panel(image)]}), [tmp_path / "x.png"])
    picture = np.asarray(Image.open(tmp_path / "x.png").convert("RGB"))
    panel = picture[6 : 6 + figures.PANEL, 44 : 44 + figures.PANEL]
    np.testing.assert_array_equal(panel[2::5, 2::5], image)
    np.testing.assert_array_equal(panel, image.repeat(5, axis=0).repeat(5, axis=1))


def test_the_region_is_outlined_in_green_on_the_corrupted_image_alone(tmp_path):
    clean, corrupted = [record("a", 64, 128)], [record("a", 64, 128)]
    figures.save(figures.clean_over_corrupted(clean, {"r": corrupted}, ["hps"]), [tmp_path / "x.png"])
    picture = np.asarray(Image.open(tmp_path / "x.png").convert("RGB")).astype(int)
    green = (picture[..., 1] > 200) & (picture[..., 0] < 60)
    middle = picture.shape[0] // 2 + 20
    assert not green[:middle].any() and green[middle:].sum() > 100


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        figure = figures.contact_sheet([record("$x_1")], [record("$x_1")], ["$5 & 3 %"])
        figures.save(figure, [tmp_path / f"{name}.{suffix}"])
    content = (tmp_path / f"a.{suffix}").read_bytes()
    assert content == (tmp_path / f"b.{suffix}").read_bytes()
    assert b"date" not in content.lower()  # both were written within a second


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


def test_every_run_has_its_curve_in_its_panel():
    runs = [
        (Detector("hps", "pseudo", "swin-t"), 0),
        (Detector("hps", "pseudo", "swin-t"), 1),
        (Detector("richhf-100", "human", "convnext-t"), 0),
    ]
    loss = pd.DataFrame({"iteration": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "lr": 1e-4})
    panels = {axes.get_title(): axes for axes in plots.loss_curves(dict.fromkeys(runs, loss)).axes}
    assert {title: len(axes.lines) for title, axes in panels.items()} == {
        "hps, swin-t": 2,
        "hps, convnext-t": 0,
        "richhf-100, swin-t": 0,
        "richhf-100, convnext-t": 1,
    }
    assert not panels["hps, convnext-t"].get_visible()


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


def test_the_strength_table_leaves_out_images_without_a_region(tmp_path):
    frame = strength(
        ["a", "b", "c", "d"],
        latent_distance=[np.nan, 0.2, 0.4, 0.6],
        mask_fraction=[0, 0.1, 0.2, 0.3],
        changed=[np.nan, 0.01, 0.5, 0.9],
        psnr_inside=[np.nan, np.inf, 20, 10],
    )
    paths = [tmp_path / "0.csv", tmp_path / "1.csv"]
    frame.iloc[:2].drop(columns="part").to_csv(paths[0], index=False)
    frame.iloc[2:].drop(columns="part").to_csv(paths[1], index=False)
    table = strength_table({"blur_30": paths})
    (row,) = table.itertuples()
    assert (row.images, row.empty_masks, row.psnr_inside) == (4, 1, 20)
    assert row.mask_fraction == pytest.approx(0.2) and row.latent_distance == pytest.approx(0.4)
    assert row.visibly_changed == pytest.approx(2 / 3)
    assert r"| blur\_30 | 4 | 1 | 20.0% | 66.7% | 20.0 |" in to_markdown(table)

"""Figures: the right pictures in their places, the right outlines, the same bytes each time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from blemish.data.records import Record, write_records
from blemish.experiments import CorruptedPool
from blemish.report import examples, figures

PANEL, GAP = figures.PANEL, figures.GAP
MARGIN = 44  # pixels of the labels beside the rows and of the headings above them


@pytest.fixture
def made(tmp_path, strength):
    """(clean, corrupted, strength) of two pools by two recipes: two shards of one image, which has one grey."""
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    clean, corrupted, measures = {}, {}, {}

    def write(name, values, mask):
        paths = [tmp_path / f"{name}-{i}.parquet" for i in range(len(values))]
        for i, path in enumerate(paths):
            write_records(path, [Record(f"$x_{i}", np.full((64, 64, 3), values[i], np.uint8), mask)])
        return paths

    for p, pool in enumerate(("hps", "mine")):
        clean[pool] = write(pool, (10 + 100 * p, 20 + 100 * p), None)
        for r, recipe in enumerate(("blur-30", "proposed-40")):
            name = CorruptedPool(pool, recipe, "swin-t")
            corrupted[name] = write("-".join(name), (40 + 20 * r + 100 * p, 50 + 20 * r + 100 * p), mask)
            measures[name] = [tmp_path / f"{'-'.join(name)}-{i}.csv" for i in (0, 1)]
            for i, path in enumerate(measures[name]):
                strength([f"$x_{i}"]).drop(columns="part").to_csv(path, index=False)
    return clean, corrupted, measures


def every(measured):
    return measured


def drawn(figure, tmp_path):
    figures.save(figure, [tmp_path / "x.png"])
    return np.asarray(Image.open(tmp_path / "x.png").convert("RGB")).astype(int)


def greys(picture, rows, columns, top, below):
    """The grey of each panel near its corner, (rows, columns); `below`: pixels of the captions under each row."""
    return [
        [
            picture[top + sum(below[:r]) + r * (PANEL + GAP) + 9, MARGIN + c * (PANEL + GAP) + 9, 0]
            for c in range(columns)
        ]
        for r in range(rows)
    ]


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


def test_pools_stand_side_by_side_and_recipes_below_the_clean_images(made, tmp_path):
    picture = drawn(figures.clean_over_corrupted(*made, choose=every), tmp_path)
    assert greys(picture, 3, 4, MARGIN, [0, 34, 34]) == [
        [10, 20, 110, 120],
        [40, 50, 140, 150],
        [60, 70, 160, 170],
    ]


def test_the_choice_of_the_first_recipe_counts_for_all_and_one_pool_needs_no_heading(made, tmp_path):
    clean, corrupted, strength = ({k: v for k, v in files.items() if k == "hps" or k[0] == "hps"} for files in made)
    figure = figures.clean_over_corrupted(clean, corrupted, strength, lambda measured: measured.iloc[[1]])
    assert greys(drawn(figure, tmp_path), 3, 1, 6, [0, 34, 34]) == [[20], [50], [70]]


def test_a_contact_sheet_shows_region_and_corrupted_image_apart(made, tmp_path):
    name = CorruptedPool("hps", "blur-30", "swin-t")
    files = [part[key] for part, key in zip(made, ("hps", name, name), strict=True)]
    picture = drawn(figures.contact_sheet(*files, choose=every), tmp_path)
    assert greys(picture, 3, 2, 6, [0, 0, 34]) == [[10, 20], [10, 20], [40, 50]]
    rows = np.split(picture, 6 + np.array([1, 2]) * (PANEL + GAP))
    assert [green(row).any() for row in rows] == [False, True, False]


def green(picture):
    return (picture[..., 1] > 200) & (picture[..., 0] < 60)


def test_the_region_is_outlined_in_green_on_the_corrupted_images_alone(made, tmp_path):
    found = green(drawn(figures.clean_over_corrupted(*made, choose=every), tmp_path))
    first = MARGIN + PANEL + GAP // 2
    assert not found[:first].any()
    side = PANEL // 64 * 20  # the region has 20 of 64 pixels
    ys, xs = np.nonzero(found[first : first + PANEL, MARGIN : MARGIN + PANEL])
    assert ys.max() - ys.min() == pytest.approx(side, abs=6) and xs.max() - xs.min() == pytest.approx(side, abs=6)


def test_small_images_are_enlarged_without_smoothing(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    figures.save(figures.grid({"": [figures.Panel(image)]}), [tmp_path / "x.png"])
    picture = np.asarray(Image.open(tmp_path / "x.png").convert("RGB"))
    panel = picture[6 : 6 + PANEL, MARGIN : MARGIN + PANEL]
    np.testing.assert_array_equal(panel[2::5, 2::5], image)
    np.testing.assert_array_equal(panel, image.repeat(5, axis=0).repeat(5, axis=1))


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_the_same_figure_gives_the_same_bytes(made, tmp_path, suffix):
    for name in ("a", "b"):
        figure = figures.clean_over_corrupted(*made, choose=lambda measured: examples.drawn(measured, 2, 0))
        figures.save(figure, [tmp_path / f"{name}.{suffix}"])
    content = (tmp_path / f"a.{suffix}").read_bytes()
    assert content == (tmp_path / f"b.{suffix}").read_bytes()
    assert b"date" not in content.lower()  # both were written within a second

"""Examples: the right images stand for a pool, in the right order."""

import numpy as np
import pandas as pd
import pytest

from blemish.data.records import Record, write_records
from blemish.errors import UserError
from blemish.report import examples


def test_which_images_are_drawn_depends_on_seed_and_ids_alone(strength):
    ids = [f"{i}" for i in range(50)]
    frame = strength(ids)
    drawn = list(examples.drawn(frame, 6, seed=1)["id"])
    assert list(examples.drawn(frame.iloc[::-1].assign(part=3), 6, seed=1)["id"]) == drawn
    assert list(examples.drawn(frame, 6, seed=2)["id"]) != drawn
    assert list(examples.drawn(frame, 3, seed=1)["id"]) == drawn[:3]


def test_images_without_a_region_are_not_shown(strength):
    frame = strength(["a", "b", "c"], latent_distance=[np.nan, 0.5, np.nan])
    assert list(examples.drawn(frame, 6, seed=0)["id"]) == ["b"]
    with pytest.raises(UserError, match="no image has a region"):
        examples.drawn(frame[frame["id"] != "b"], 6, seed=0)


def test_the_least_changed_come_first_and_tiny_regions_not_at_all(strength):
    frame = strength(
        ["tiny", "strong", "faint", "fainter", "some"],
        mask_fraction=[0.001, 0.1, 0.1, 0.1, 0.1],
        changed=[0, 0.9, 0, 0, 0.2],
        psnr_inside=[60, 10, 30, 40, 20],
    )
    assert list(examples.least_changed(frame, 3)["id"]) == ["fainter", "faint", "some"]


def record(name: str, value: int) -> Record:
    return Record(name, np.full((8, 8, 3), value, np.uint8), np.eye(8) > 0)


def test_records_come_in_the_chosen_order_from_their_shards(tmp_path):
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    write_records(paths[0], [record("a", 1), record("b", 2)])
    write_records(paths[1], [record("c", 3), record("a", 4)])
    chosen = pd.DataFrame({"id": ["a", "b", "a"], "part": [1, 0, 0]})
    found = examples.fetch(paths, chosen)
    assert [r.image[0, 0, 0] for r in found] == [4, 2, 1]
    assert all((r.mask == np.eye(8)).all() for r in found)
    with pytest.raises(UserError, match="does not hold the image z"):
        examples.fetch(paths, pd.DataFrame({"id": ["z"], "part": [0]}))

import pytest
from blemish.corruption.shards import batches, finished, whole

from blemish.data.digests import digest
from blemish.errors import UserError


def test_parts_behind_a_gap_are_not_trusted(tmp_path):
    for name in ("000000000.x", "000000002.x", "000000006.x"):
        (tmp_path / name).touch()
    assert finished(tmp_path, ".x", lambda part: 2) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000000.x", "000000002.x"]


def test_a_shard_that_lacks_a_part_is_not_whole(tmp_path):
    for name in ("000000002.x", "000000000.x"):
        (tmp_path / name).touch()
    assert [part.name for part in whole(tmp_path, ".x", lambda part: 2, 4)] == ["000000000.x", "000000002.x"]
    (tmp_path / "000000000.x").unlink()
    with pytest.raises(UserError, match="holds 2 of 4 images"):
        whole(tmp_path, ".x", lambda part: 2, 4)


def test_batches_begin_behind_what_is_done():
    assert list(batches(iter(range(7)), 2, 3)) == [(2, [2, 3, 4]), (5, [5, 6])]


def test_the_order_of_keys_does_not_count_and_every_value_does():
    assert digest({"a": 1, "b": 2}, 3) == digest({"b": 2, "a": 1}, 3)
    assert len({digest({"a": 1}, 3), digest({"a": 2}, 3), digest({"a": 1}, 4)}) == 3

import pytest

from blemish.corruption.batches import image_ids, in_batches
from blemish.data.records import Record, write_records
from blemish.errors import UserError
from blemish.jobs.run import state


def work(out, worked, images=7, identity="a", fails_at=None):
    """Goes through numbers in batches of three; a batch's file holds its numbers, `out` those of all files."""

    def process(batch, rows):
        worked.append(batch)
        if rows.start == fails_at:
            raise InterruptedError
        assert batch == list(range(rows.start, rows.stop))
        return lambda path: path.write_text(" ".join(map(str, batch)))

    with in_batches(iter(range(7)), images, 3, process, out, identity) as parts:
        out.write_text(" ".join(part.read_text() for part in parts))


def test_what_was_finished_is_not_made_again(tmp_path):
    out, worked = tmp_path / "out.txt", []
    with pytest.raises(InterruptedError):
        work(out, worked, fails_at=6)
    work(out, worked)
    assert worked == [[0, 1, 2], [3, 4, 5], [6], [6]]
    assert out.read_text() == "0 1 2 3 4 5 6"
    assert not state(out).exists()


def test_what_something_else_led_to_is_made_again(tmp_path):
    out, worked = tmp_path / "out.txt", []
    with pytest.raises(InterruptedError):
        work(out, worked, fails_at=6)
    work(out, worked, identity="b")
    assert worked[3:] == [[0, 1, 2], [3, 4, 5], [6]]


def test_files_behind_a_gap_are_not_trusted(tmp_path):
    out, worked = tmp_path / "out.txt", []
    with pytest.raises(InterruptedError):
        work(out, worked, fails_at=6)
    next((state(out) / "a").glob("000000000-*")).unlink()
    work(out, worked)
    assert worked[3:] == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_shard_that_lacks_an_image_is_not_made(tmp_path):
    out = tmp_path / "out.txt"
    with pytest.raises(UserError, match=r"lacks a part of .*out\.txt"):
        work(out, [], images=8)
    assert not out.exists()


def test_a_shard_without_images_is_refused(tmp_path):
    write_records(tmp_path / "empty.parquet", [])
    with pytest.raises(UserError, match="holds no images"):
        image_ids(tmp_path / "empty.parquet")
    write_records(tmp_path / "one.parquet", [Record("a", None, None)])
    assert image_ids(tmp_path / "one.parquet") == ["a"]

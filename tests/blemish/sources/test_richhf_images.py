"""RichHF's images from mirrors in both layouts; only what is needed is read."""

import io
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from blemish.data.records import read_ids, read_records
from blemish.errors import UserError
from blemish.sources import richhf_images
from blemish.sources.richhf_images import fetch_images
from blemish.sources.settings import Images, Repository


def picture(seed: int, width: int = 10, height: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(seed: int, **shape) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture(seed, **shape)).save(stream, "PNG")
    return stream.getvalue()


def write_joined(folder, start: int, count: int, part: str = "00000-of-00001") -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    numbers = range(start, start + count)
    table = {
        "filename": [f"train/u{i}.png" for i in numbers],
        "image": [{"bytes": encoded(i), "path": None} for i in numbers],
        "caption": [f"prompt {i}" for i in numbers],
        "artifact_map": [b"m" * 1000] * count,
    }
    pq.write_table(pa.table(table), folder / "data" / f"train-{part}.parquet", row_group_size=10)


def write_pick_a_pic(folder, count: int) -> None:
    """Image u<i> stands left in row i and right in row i + 1, as images there come in several rows."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    table = {
        "jpg_0": [encoded(i) for i in range(count)],
        "jpg_1": [encoded(max(0, i - 1)) for i in range(count)],
        "image_0_uid": [f"u{i}" for i in range(count)],
        "image_1_uid": [f"u{max(0, i - 1)}" for i in range(count)],
        "caption": [f"prompt {i}" for i in range(count)],
        "other": [b"o" * 5000] * count,
    }
    pq.write_table(pa.table(table), folder / "data" / "train-00000-of-00001.parquet", row_group_size=10)


def source(folder, missing_allowed=0.0) -> Images:
    return Images(repo=f"file:{folder}", missing_allowed=missing_allowed)


@pytest.mark.parametrize("files", ["dev", "validation", "train"])
def test_the_dev_images_are_found_where_a_mirror_has_them(tmp_path, files):
    write_joined(tmp_path, 0, 20)
    part = tmp_path / "data" / "train-00000-of-00001.parquet"
    part.rename(part.with_name(part.name.replace("train", files)))
    fetch_images(["u7"], "dev", source(tmp_path), 8, tmp_path / "out.parquet")
    [record] = read_records(tmp_path / "out.parquet")
    assert record.source == "richhf:dev/u7"
    with pytest.raises(UserError, match=r"holds nothing like data/test-\*\.parquet: check"):
        fetch_images(["u7"], "test", source(tmp_path), 8, tmp_path / "out.parquet")


@pytest.mark.parametrize("layout", ["joined", "pick-a-pic"])
def test_both_layouts_give_the_wanted_images(tmp_path, layout):
    if layout == "joined":
        write_joined(tmp_path, 0, 25, "00000-of-00002")
        write_joined(tmp_path, 25, 25, "00001-of-00002")
    else:
        write_pick_a_pic(tmp_path, 50)
    fetch_images(["u3", "u41", "u20"], "train", source(tmp_path), 8, tmp_path / "out.parquet")
    found = {record.id: record for record in read_records(tmp_path / "out.parquet")}
    assert list(found) == ["u3", "u20", "u41"]
    np.testing.assert_array_equal(found["u41"].image, picture(41))
    assert found["u3"].source == "richhf:train/u3" and found["u3"].prompt.startswith("prompt ")


@pytest.mark.parametrize("layout", ["joined", "pick-a-pic"])
def test_only_the_columns_and_row_groups_needed_are_read(tmp_path, layout, monkeypatch):
    (write_joined(tmp_path, 0, 50) if layout == "joined" else write_pick_a_pic(tmp_path, 50))
    read = []
    original = pq.ParquetFile.read_row_group

    def watched(self, group, columns, **options):
        read.append((group, tuple(columns)))
        return original(self, group, columns=columns, **options)

    monkeypatch.setattr(richhf_images.pq.ParquetFile, "read_row_group", watched)
    fetch_images(["u3", "u4"], "train", source(tmp_path), 8, tmp_path / "out.parquet")
    heavy = [(group, columns) for group, columns in read if "caption" in columns]
    assert heavy == [(0, ("image" if layout == "joined" else "jpg_0", "caption"))]


def test_missing_images_are_counted_and_named(tmp_path, caplog):
    write_joined(tmp_path, 0, 10)
    ids = [f"u{i}" for i in range(20)]
    with pytest.raises(UserError, match="lacks 10 of the 20 images of RichHF's train split, such as u10"):
        fetch_images(ids, "train", source(tmp_path, 0.4), 8, tmp_path / "out.parquet")
    with caplog.at_level(logging.WARNING):
        fetch_images(ids, "train", source(tmp_path, 0.5), 8, tmp_path / "out.parquet")
    assert "10 of 20 images are missing: u10, u11" in caplog.text
    assert len(read_ids(tmp_path / "out.parquet")) == 10


def test_a_broken_image_counts_as_missing(tmp_path):
    write_joined(tmp_path, 0, 3)
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    for broken in ({"bytes": encoded(1)[:80], "path": None}, {"bytes": None, "path": None}, None):
        column = pa.array([broken, *table["image"].to_pylist()[1:]], table["image"].type)
        pq.write_table(table.set_column(1, "image", column), path)
        with pytest.raises(UserError, match=r"lacks 1 of the 3 images .* such as u0"):
            fetch_images(["u0", "u1", "u2"], "train", source(tmp_path), 8, tmp_path / "out.parquet")


def test_wrong_mirrors_are_named(tmp_path):
    with pytest.raises(UserError, match=r"the folder .*none, which the config names as a source, is missing"):
        fetch_images(["u0"], "train", source(tmp_path / "none"), 8, tmp_path / "out.parquet")
    write_joined(tmp_path, 0, 3)
    with pytest.raises(UserError, match=r"holds nothing like data/test-\*\.parquet"):
        fetch_images(["u0"], "test", source(tmp_path), 8, tmp_path / "out.parquet")
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(UserError, match="has the columns a: none of the known layouts"):
        fetch_images(["u0"], "train", source(tmp_path), 8, tmp_path / "out.parquet")
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UserError, match="is damaged"):
        fetch_images(["u0"], "train", source(tmp_path), 8, tmp_path / "out.parquet")


def test_the_next_mirror_is_tried_where_one_fails(tmp_path, caplog):
    """Missing, without the split, damaged, of another layout, lacking too many: each is named in one line of log."""
    ids, names = ["u1", "u2", "u3"], ["none", "empty", "damaged", "other", "half", "whole", "unused"]
    folders = [tmp_path / name for name in names]
    for folder in folders[1:]:
        (folder / "data").mkdir(parents=True)
    (folders[1] / "data/test-0.parquet").write_bytes(b"")
    (folders[2] / "data/train-0.parquet").write_bytes(b"PAR1 and nothing else")
    pq.write_table(pa.table({"a": [1]}), folders[3] / "data/train-0.parquet")
    write_joined(folders[4], 0, 3)
    write_pick_a_pic(folders[5], 10)
    first, *others = (f"file:{folder}" for folder in folders)
    mirrors = Images(repo=first, missing_allowed=0.1, mirrors=[Repository(repo=repo) for repo in others])
    with caplog.at_level(logging.WARNING):
        fetch_images(ids, "train", mirrors, 8, tmp_path / "out.parquet")
    assert sorted(read_ids(tmp_path / "out.parquet")) == ids
    [line] = [record.getMessage() for record in caplog.records if "come from" in record.getMessage()]
    assert line.startswith(f"the images of train come from file:{folders[5]}, because the folder {folders[0]}, which")
    for reason in ("holds nothing like", "is damaged", "has the columns a", "half lacks 1 of the 3 images"):
        assert reason in line
    assert "unused" not in caplog.text


def test_the_first_mirror_that_has_the_images_is_not_mentioned(tmp_path, caplog):
    write_joined(tmp_path, 0, 3)
    mirrors = source(tmp_path).model_copy(update={"mirrors": [Repository(repo=f"file:{tmp_path}/none")]})
    with caplog.at_level(logging.WARNING):
        fetch_images(["u1"], "train", mirrors, 8, tmp_path / "out.parquet")
    assert caplog.text == ""


def test_where_no_mirror_has_the_images_each_says_why_and_nothing_is_left(tmp_path):
    write_joined(tmp_path, 0, 3)
    mirrors = source(tmp_path).model_copy(update={"mirrors": [Repository(repo=f"file:{tmp_path}/none")]})
    with pytest.raises(UserError, match=r"lacks 1 of the 2 .*; then the folder .*none, which .* missing") as error:
        fetch_images(["u2", "u3"], "train", mirrors, 8, tmp_path / "out.parquet")
    assert "\n" not in str(error.value) and not (tmp_path / "out.parquet").exists()


def test_a_disk_that_is_full_is_no_reason_for_another_mirror(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    write_joined(tmp_path, 0, 3)
    monkeypatch.setattr(richhf_images, "write_records", full)
    mirrors = source(tmp_path).model_copy(update={"mirrors": [Repository(repo=f"file:{tmp_path}")]})
    with pytest.raises(OSError, match="No space left"):
        fetch_images(["u1"], "train", mirrors, 8, tmp_path / "out.parquet")

"""RichHF's images from mirrors in both layouts; only what is needed is read; masks stay where they belong."""

import io
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blemish.sources.mirror import fetch_images
from PIL import Image

from blemish.data.records import Record, read_ids, read_records, write_records
from blemish.errors import UserError
from blemish.labels.join import join
from blemish.sources import mirror


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


def source(folder, missing_allowed=0.0) -> dict:
    return {"repo": f"file:{folder}", "missing_allowed": missing_allowed}


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

    monkeypatch.setattr(mirror.pq.ParquetFile, "read_row_group", watched)
    fetch_images(["u3", "u4"], "train", source(tmp_path), 8, tmp_path / "out.parquet")
    heavy = [(group, columns) for group, columns in read if "caption" in columns]
    assert heavy == [(0, ("image" if layout == "joined" else "jpg_0", "caption"))]


def test_missing_images_are_counted_and_named(tmp_path, caplog):
    write_joined(tmp_path, 0, 10)
    ids = [f"u{i}" for i in range(20)]
    with pytest.raises(UserError, match="lacks 10 of the 20 images of RichHF's train split, u10 for one"):
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
        with pytest.raises(UserError, match=r"lacks 1 of the 3 images .* u0 for one"):
            fetch_images(["u0", "u1", "u2"], "train", source(tmp_path), 8, tmp_path / "out.parquet")


def test_wrong_mirrors_are_named(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        fetch_images(["u0"], "train", source(tmp_path / "none"), 8, tmp_path / "out.parquet")
    write_joined(tmp_path, 0, 3)
    with pytest.raises(UserError, match=r"holds nothing like data/test-\*\.parquet"):
        fetch_images(["u0"], "test", source(tmp_path), 8, tmp_path / "out.parquet")
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(UserError, match="has the columns a: that is no layout"):
        fetch_images(["u0"], "train", source(tmp_path), 8, tmp_path / "out.parquet")
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UserError, match="is damaged"):
        fetch_images(["u0"], "train", source(tmp_path), 8, tmp_path / "out.parquet")


@pytest.mark.parametrize(("width", "height"), [(8, 8), (16, 8), (8, 20)])
def test_masks_stay_on_what_they_mark(tmp_path, width, height):
    """The mask's middle half, in both directions, is white in the image, whatever the proportions."""
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 255
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True
    write_records(tmp_path / "images.parquet", [Record("a", image, None, "p")])
    write_records(tmp_path / "labels.parquet", [Record("b", None, ~mask), Record("a", None, mask)])
    join(tmp_path / "images.parquet", tmp_path / "labels.parquet", tmp_path / "out.parquet")
    (record,) = read_records(tmp_path / "out.parquet")
    assert record.image.shape == (8, 8, 3) and record.prompt == "p"
    np.testing.assert_array_equal(record.mask, record.image[..., 0] == 255)


def test_an_image_without_a_mask_is_named(tmp_path):
    write_records(tmp_path / "images.parquet", [Record("a", picture(0), None)])
    write_records(tmp_path / "labels.parquet", [Record("b", None, np.ones((4, 4), bool))])
    with pytest.raises(UserError, match="has no mask for the image a"):
        join(tmp_path / "images.parquet", tmp_path / "labels.parquet", tmp_path / "out.parquet")

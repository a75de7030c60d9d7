"""Records survive their trip to disk bit by bit, and other libraries can open them."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from blemish.data import records
from blemish.data.records import Record, join_masks, read_ids, read_records, write_records, write_shards
from blemish.errors import UserError

SIDES = st.integers(1, 9)


@st.composite
def record_lists(draw):
    ids = draw(st.lists(st.text(max_size=8), max_size=6, unique=True))
    shape = (draw(SIDES), draw(SIDES))
    images = st.none() | nps.arrays(np.uint8, (*shape, 3))
    masks = st.none() | nps.arrays(np.bool_, shape)
    texts = st.text(max_size=20)
    seeds = st.integers(-(2**63), 2**63 - 1)
    return [Record(i, draw(images), draw(masks), draw(texts), draw(texts), draw(texts), draw(seeds)) for i in ids]


def assert_same(a: Record, b: Record) -> None:
    np.testing.assert_equal(vars(a), vars(b))
    for x, y in ((a.image, b.image), (a.mask, b.mask)):
        assert x is None or x.dtype == y.dtype


def some(count: int, masks: bool = True, start: int = 0) -> list[Record]:
    rng = np.random.default_rng(start)
    return [
        Record(
            id=f"r{start + i}",
            image=rng.integers(0, 256, (8, 6, 3), dtype=np.uint8),
            mask=rng.random((8, 6)) < 0.5 if masks else None,
            prompt=f"scene {i}",
            source="test:a",
        )
        for i in range(count)
    ]


@settings(deadline=None, max_examples=60)
@given(record_lists())
def test_what_is_written_is_read(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("round") / "a.parquet"
    assert write_records(path, iter(written)) == len(written)
    read = list(read_records(path))
    assert read_ids(path) == [r.id for r in written]
    for a, b in zip(written, read, strict=True):
        assert_same(a, b)


def test_several_shards_are_read_in_order(tmp_path):
    write_records(tmp_path / "b.parquet", some(3))
    write_records(tmp_path / "a.parquet", some(2, start=3))
    assert read_ids([tmp_path / "b.parquet", tmp_path / "a.parquet"]) == ["r0", "r1", "r2", "r3", "r4"]


def test_columns_left_out_are_not_decoded(tmp_path):
    path = tmp_path / "a.parquet"
    write_records(path, some(2))
    (first, _) = read_records(path, columns=["mask"])
    assert first.id == "r0" and first.image is None and first.mask is not None and first.prompt == ""


@pytest.mark.parametrize("shards", [1, 3, 7])
def test_shards_share_the_records_out(tmp_path, shards):
    paths = [tmp_path / f"{i}.parquet" for i in range(shards)]
    assert write_shards(paths, some(5)) == 5
    ids = [read_ids(path) for path in paths]
    assert sorted(i for shard in ids for i in shard) == [f"r{i}" for i in range(5)]
    assert max(map(len, ids)) - min(map(len, ids)) <= 1


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    def breaks():
        yield from some(200)
        raise RuntimeError("cut")

    (tmp_path / "old").mkdir()
    old = tmp_path / "old" / "a.parquet"
    write_records(old, some(1))
    for path in (tmp_path / "a.parquet", old):
        with pytest.raises(RuntimeError, match="cut"):
            write_records(path, breaks())
    assert list(tmp_path.rglob("*.*")) == [old]
    assert read_ids(old) == ["r0"]


def test_writing_and_reading_stream(tmp_path, monkeypatch):
    """At no time is more than one row group of records alive between producer and file."""
    monkeypatch.setattr(records, "ROWS_PER_GROUP", 4)
    path, written, groups = tmp_path / "a.parquet", [], []
    write_table = records.pq.ParquetWriter.write_table
    monkeypatch.setattr(
        records.pq.ParquetWriter,
        "write_table",
        lambda self, table: (groups.append((len(written), table.num_rows)), write_table(self, table)),
    )
    write_records(path, (written.append(r) or r for r in some(10)))
    assert groups == [(4, 4), (8, 4), (10, 2)]
    assert next(read_records(path)).id == "r0"


def test_an_id_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match="r0 comes twice"):
        write_records(tmp_path / "a.parquet", some(1) + some(1))


@pytest.mark.parametrize(
    "record",
    [
        Record("a", np.zeros((4, 4), np.uint8), None),
        Record("a", np.zeros((4, 4, 3), np.float32), None),
        Record("a", None, np.zeros((4, 4), np.uint8)),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, record):
    with pytest.raises(ValueError, match="this is"):
        write_records(tmp_path / "a.parquet", [record])


def test_files_that_are_no_records_are_named(tmp_path):
    (tmp_path / "text.parquet").write_text("not parquet at all")
    records.pq.write_table(records.pa.table({"a": [1]}), tmp_path / "other.parquet")
    for name, sentence in (("absent", "missing"), ("text", "damaged"), ("other", "no column id")):
        with pytest.raises(UserError, match=sentence) as error:
            read_ids(tmp_path / f"{name}.parquet")
        assert f"{name}.parquet" in str(error.value)


def test_masks_join_their_images(tmp_path):
    images, masks = tmp_path / "images.parquet", tmp_path / "masks.parquet"
    full = some(3)
    write_records(images, [Record(r.id, r.image, None, r.prompt) for r in full])
    write_records(masks, [Record(r.id, None, r.mask) for r in reversed(full)])
    for a, b in zip(full, join_masks(images, masks), strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)
        np.testing.assert_array_equal(a.image, b.image)
        assert a.prompt == b.prompt


def test_an_image_without_its_mask_is_named(tmp_path):
    images, masks = tmp_path / "images.parquet", tmp_path / "masks.parquet"
    write_records(images, some(3, masks=False))
    write_records(masks, [Record(r.id, None, r.mask) for r in some(2)] + [Record("r2", None, None)])
    with pytest.raises(UserError, match="no mask for the image r2"):
        list(join_masks(images, masks))
    write_records(masks, [Record(r.id, None, r.mask[:4]) for r in some(3)])
    with pytest.raises(UserError, match="make both at one size"):
        list(join_masks(images, masks))


def test_the_datasets_library_opens_a_shard(tmp_path):
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "a.parquet"
    full = some(3)
    write_records(path, [*full, Record("bare", None, full[0].mask)])
    opened = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert opened.features["image"] == datasets.Image() and opened.features["mask"] == datasets.Image()
    assert opened[0]["image"].mode == "RGB" and opened[0]["mask"].mode == "L"
    np.testing.assert_array_equal(np.array(opened[1]["image"]), full[1].image)
    np.testing.assert_array_equal(np.array(opened[1]["mask"]), full[1].mask * np.uint8(255))
    assert opened[3]["image"] is None and opened[0]["prompt"] == "scene 0"


def test_only_the_row_groups_of_wanted_images_are_read(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    image = np.zeros((8, 8, 3), np.uint8)
    write_records(path, (Record(f"{i}", image, None) for i in range(3 * records.ROWS_PER_GROUP)))
    read, iterate = [], pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile, "iter_batches", lambda file, **how: read.append(list(how["row_groups"])) or iterate(file, **how)
    )
    assert [record.id for record in read_records(path, where={"70", "71"}.__contains__)] == ["70", "71"]
    assert [record.id for record in read_records(path, where={"none"}.__contains__)] == []
    assert read == [[1], []]

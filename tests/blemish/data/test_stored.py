"""Encoded images read where they lie: what the readers of whole files give, whoever wrote the files."""

import gc
import os
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.data.records import Record, read_encoded, write_records
from blemish.data.stored import Stored
from blemish.errors import UserError


def records(count, offset=0):
    random = np.random.default_rng(offset)
    for i in range(count):
        mask = np.zeros((8, 8), bool) if i % 3 else random.random((8, 8)) > 0.5
        yield Record(f"{offset + i}", random.integers(0, 256, (8, 8, 3), dtype=np.uint8), mask if i % 5 else None)


@pytest.fixture
def shards(tmp_path):
    for i, count in enumerate((150, 3, 0)):
        write_records(tmp_path / f"{i}.parquet", records(count, 1000 * i))
    return [tmp_path / f"{i}.parquet" for i in range(3)]


@pytest.mark.parametrize("column", ["image", "mask"])
def test_every_image_is_what_reading_the_whole_file_gives(shards, column):
    stored = Stored(shards, column)
    expected = read_encoded(shards, column)
    assert stored.ids == list(expected) and len(stored) == 153
    assert [stored[i] or None for i in range(len(stored))] == list(expected.values())
    assert not stored._kept, "our own files are read where they lie"


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("row_group_size", [1, 7, 1000])
def test_files_of_other_writers_give_the_same(shards, tmp_path, compression, use_dictionary, row_group_size):
    options = {"compression": compression, "use_dictionary": use_dictionary, "row_group_size": row_group_size}
    pq.write_table(pa.concat_tables(map(pq.read_table, shards)), tmp_path / "other.parquet", **options)
    for column in ("image", "mask"):
        stored = Stored([tmp_path / "other.parquet"], column)
        assert [stored[i] or None for i in range(153)] == list(read_encoded(shards, column).values())


@given(st.lists(st.binary(max_size=6), max_size=30))
def test_values_that_look_alike_are_not_mixed_up(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("alike") / "a.parquet"
    rows = [{"id": str(i), "image": {"bytes": value, "path": None}} for i, value in enumerate(values)]
    schema = pa.schema([("id", pa.string()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="none", use_dictionary=False)
    stored = Stored([path], "image")
    assert [stored[i] for i in range(len(values))] == values


def test_a_forked_process_reads_what_its_parent_reads(shards):
    stored = Stored(shards, "image")
    expected = [stored[i] for i in range(len(stored))]
    child = os.fork()
    if not child:
        os._exit(not all(stored[i] == expected[i] for i in range(len(stored))))
    assert [stored[i] for i in range(len(stored))] == expected
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("content", [b"", b"no Parquet", None])
def test_what_cannot_be_read_is_named_and_leaves_no_file_open(tmp_path, content):
    path = tmp_path / "a.parquet"
    if content is not None:
        path.write_bytes(content)
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UserError, match=str(path)):
        Stored([path], "image")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_set_of_any_size_opens_in_few_bytes_an_image(tmp_path):
    count = write_records(tmp_path / "a.parquet", records(2000))
    tracemalloc.start()
    try:
        stored = Stored([tmp_path / "a.parquet"], "image")
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    assert held < 150, len(stored)

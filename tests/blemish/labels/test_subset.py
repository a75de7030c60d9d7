"""The draw of the human-labelled samples: by seed and ids alone, uniform, the rest without masks."""

from collections import Counter

import numpy as np
import pytest

from blemish.data.records import Record, read_ids, read_records, write_records
from blemish.errors import UserError
from blemish.labels.subset import draw_subset

IDS = [f"u{i:02}" for i in range(20)]


@pytest.fixture
def samples(tmp_path):
    def write(ids, name="samples.parquet"):
        rng = np.random.default_rng(0)
        pixels = {id_: rng.integers(0, 256, (4, 4, 3), dtype=np.uint8) for id_ in sorted(ids)}
        records = (Record(id_, pixels[id_], pixels[id_][..., 0] > 99, f"prompt {id_}") for id_ in ids)
        write_records(tmp_path / name, records)
        return tmp_path / name

    return write


def draw(samples, count=5, seed=0, shards=2):
    folder = samples.parent / "drawn"
    pool = [folder / f"{i}.parquet" for i in range(shards)]
    draw_subset(samples, count, seed, folder / "subset.parquet", pool)
    return folder / "subset.parquet", pool


def test_every_sample_is_in_one_of_both_and_only_the_subset_has_masks(samples):
    subset, pool = draw(samples(IDS))
    drawn, rest = list(read_records(subset)), list(read_records(pool))
    assert len(drawn) == 5 and sorted(record.id for record in drawn + rest) == IDS
    assert all(record.mask is not None for record in drawn) and all(record.mask is None for record in rest)
    assert all(record.prompt == f"prompt {record.id}" and record.image is not None for record in drawn + rest)


def test_neither_the_order_nor_the_cut_decides_who_is_drawn(samples):
    first = set(read_ids(draw(samples(IDS))[0]))
    assert set(read_ids(draw(samples(IDS[::-1], "turned.parquet"), shards=3)[0])) == first
    assert set(read_ids(draw(samples(IDS), seed=1)[0])) != first


def test_every_sample_is_as_likely_as_any_other(samples):
    """100 draws of 5 from 20: each is expected 25 times; 4.5 standard deviations are 19."""
    path, counts = samples(IDS), Counter()
    for seed in range(100):
        counts.update(read_ids(draw(path, seed=seed, shards=1)[0]))
    assert set(counts) == set(IDS) and max(abs(n - 25) for n in counts.values()) < 19


@pytest.mark.parametrize("count", [20, 21])
def test_too_few_samples_are_one_sentence(samples, count):
    path = samples(IDS)
    with pytest.raises(UserError, match=rf"has 20 samples, and subset\.count asks for {count}: lower it\.$"):
        draw(path, count)
    assert [file.name for file in path.parent.iterdir()] == [path.name]

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.data.records import Record, write_records
from blemish.detection import dataset
from blemish.detection.dataset import ArrayDataset, BatchSampler, RecordsDataset, augment
from blemish.errors import UserError


@pytest.fixture
def shards(tmp_path, squares):
    """The squares as two shards of images, and their masks, in another order, as a third."""
    images, labels = squares
    records = [Record(f"i{i}", image, None) for i, image in enumerate(images)]
    masks = [Record(f"i{i}", None, label > 0) for i, label in enumerate(labels)]
    write_records(tmp_path / "a.parquet", records[:6])
    write_records(tmp_path / "b.parquet", records[6:])
    write_records(tmp_path / "masks.parquet", masks[::-1])
    return [tmp_path / "a.parquet", tmp_path / "b.parquet"], [tmp_path / "masks.parquet"]


@pytest.mark.parametrize("memory", [dataset.IN_MEMORY, 0])
def test_records_come_with_the_masks_of_their_ids(shards, squares, memory):
    found = RecordsDataset(*shards, memory=memory)
    assert len(found) == 10 and bool(found._decoded) == bool(memory)
    for i, (image, label) in enumerate(zip(*squares, strict=True)):
        assert np.array_equal(found.pair(i)[0], image) and np.array_equal(found.pair(i)[1], label)


def test_masks_may_be_in_the_images_records(tmp_path, squares):
    write_records(
        tmp_path / "all.parquet",
        (Record(f"{i}", a, b > 0) for i, (a, b) in enumerate(zip(*squares, strict=True))),
    )
    assert np.array_equal(RecordsDataset([tmp_path / "all.parquet"]).pair(3)[1], squares[1][3])


def test_the_fingerprint_follows_every_id_image_and_mask(tmp_path, shards, squares):
    images, masks = shards
    before = RecordsDataset(images, masks).fingerprint
    assert RecordsDataset(images, masks, memory=0).fingerprint == before
    assert RecordsDataset(images[::-1], masks).fingerprint != before
    labels = squares[1].copy()
    labels[4, 0, 0] = 1
    write_records(tmp_path / "other.parquet", (Record(f"i{i}", None, label > 0) for i, label in enumerate(labels)))
    assert RecordsDataset(images, [tmp_path / "other.parquet"]).fingerprint != before


def test_an_image_without_a_mask_is_named(tmp_path, shards):
    images, _ = shards
    with pytest.raises(UserError, match=r"10 of 10 images .* no mask .* such as i0"):
        RecordsDataset(images)
    write_records(tmp_path / "empty.parquet", [])
    with pytest.raises(UserError, match="is empty"):
        RecordsDataset([tmp_path / "empty.parquet"])
    with pytest.raises(UserError, match="is missing"):
        RecordsDataset([tmp_path / "none.parquet"])


def test_an_item_is_what_mmsegs_models_take(squares):
    item = ArrayDataset(*squares)[3, 7, 0]
    assert item["inputs"].shape == (3, 32, 32)
    labels = item["data_samples"].gt_sem_seg.data
    assert labels.shape == (1, 32, 32) and int(labels.sum()) == 144
    assert item["inputs"][:, labels[0] == 1].float().mean() > 150  # flipped alike


@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 2**32))
def test_image_and_labels_are_cropped_and_mirrored_alike(height, width, seed):
    labels = np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)
    image = np.repeat(labels[..., None], 3, axis=2)
    cropped, same = augment(image, labels, np.random.default_rng(seed))
    assert same.shape == (min(height, 512), min(width, 512))
    assert np.array_equal(cropped[..., 0], same)


def test_rescaling_zooms_and_never_exceeds_the_images_own_size():
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 15:45] = 1
    image = np.repeat(labels[..., None] * 255, 3, axis=2)
    shares, shapes = [], set()
    for seed in range(200):
        zoomed, marked = augment(image, labels, np.random.default_rng(seed), (0.5, 2.0))
        assert zoomed.shape[:2] == marked.shape and marked.shape[0] <= 40 and marked.shape[1] <= 60
        assert set(np.unique(marked)) <= {0, 1}, "labels are never mixed"
        assert ((zoomed[..., 0] > 127) == marked).mean() > 0.85, "image and labels are rescaled alike"
        shares.append(marked.sum() / labels.sum())
        shapes.add(marked.shape)
    assert min(shares) < 0.3 and max(shares) > 1.8 and (40, 60) in shapes
    assert min(shape[0] for shape in shapes) <= 22
    plain = augment(image, labels, np.random.default_rng(0))
    assert all(map(np.array_equal, plain, augment(image, labels, np.random.default_rng(0), None)))


def test_half_of_the_images_are_mirrored_and_crops_reach_everywhere():
    labels = np.arange(600, dtype=np.uint16)[None].repeat(600, axis=0)
    corners = [augment(labels[..., None], labels, np.random.default_rng(i))[1][0] for i in range(300)]
    mirrored = [corner[0] > corner[-1] for corner in corners]
    assert 110 < sum(mirrored) < 190
    assert {min(corner[0], corner[-1]) for corner in corners} > {0, 88}


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 20), st.integers(0, 5))
def test_a_training_may_start_anywhere_and_goes_through_the_same_data(images, batch_size, start, seed):
    whole = list(BatchSampler(images, batch_size, seed, 0, 20))
    assert list(BatchSampler(images, batch_size, seed, start, 20)) == whole[start:]
    flat = [key for batch in whole for key in batch]
    assert [position for _, _, position in flat] == list(range(20 * batch_size))
    for begin in range(0, len(flat) - images, images):
        assert sorted(index for index, _, _ in flat[begin : begin + images]) == list(range(images))


def test_processes_share_each_batch_and_seeds_differ():
    whole = list(BatchSampler(9, 6, 1, 0, 5))
    parts = [list(BatchSampler(9, 6, 1, 0, 5, rank, 3)) for rank in range(3)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(chain(*shares)) == sorted(batch) and {len(share) for share in shares} == {2}
    other = chain(*BatchSampler(9, 6, 2, 0, 5))
    assert [index for index, _, _ in chain(*whole)] != [index for index, _, _ in other]

"""Masks stay on what they mark when they are joined with their images."""

import numpy as np
import pytest

from blemish.data.records import Record, read_records, write_records
from blemish.errors import UserError
from blemish.labels.join import join


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
    write_records(tmp_path / "images.parquet", [Record("a", np.zeros((8, 10, 3), np.uint8), None)])
    write_records(tmp_path / "labels.parquet", [Record("b", None, np.ones((4, 4), bool))])
    with pytest.raises(UserError, match="has no mask for the image a"):
        join(tmp_path / "images.parquet", tmp_path / "labels.parquet", tmp_path / "out.parquet")

"""Images of any shape become squares, and masks stay in place."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blemish.sources.framing import crop, scale, stretch_mask


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20))
def test_every_shape_becomes_the_square(width, height, size):
    pixels = scale(Image.new("RGBA", (width, height)), size)
    assert min(pixels.shape[:2]) == size and pixels.shape[2] == 3
    assert crop(pixels, size).shape == (size, size, 3)


def test_wide_images_keep_their_middle():
    """1792x1024 at 512 is 896x512 first, of which the columns 192 to 704 stay."""
    wide = np.zeros((1024, 1792, 3), np.uint8)
    wide[:, 384:1408] = 255
    pixels = scale(Image.fromarray(wide), 512)
    assert pixels.shape == (512, 896, 3)
    assert (crop(pixels, 512)[:, 4:-4] == 255).all()


def test_an_image_of_the_right_size_is_untouched():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop(scale(Image.fromarray(pixels), 16), 16), pixels)


def test_a_mask_stays_binary_and_in_place():
    mask = np.zeros((8, 8), bool)
    mask[2:4, 4:6] = True
    stretched = stretch_mask(mask, 4, 16)
    assert stretched.dtype == bool and stretched[1, 8:12].all() and stretched.sum() == 4

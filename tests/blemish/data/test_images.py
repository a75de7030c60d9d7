"""What is encoded comes back; run lengths tell every pixel of a mask."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image

from blemish.data.images import encode_png, run_lengths


@pytest.mark.parametrize(("dtype", "shape"), [(np.uint8, (5, 7)), (np.uint8, (5, 7, 3)), (np.uint16, (5, 7))])
def test_a_png_loses_nothing(dtype, shape):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    for options in ({}, {"compress_level": 3}, {"optimize": True}):
        found = np.array(Image.open(io.BytesIO(encode_png(pixels, **options)), formats=["PNG"]))
        assert found.dtype == dtype and (found == pixels).all()


@given(nps.arrays(bool, nps.array_shapes(min_dims=2, max_dims=2)), st.sampled_from("CF"))
def test_runs_alternate_from_false_and_cover_the_mask(mask, order):
    runs = run_lengths(mask, order)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    assert (values == mask.ravel(order)).all() and all(runs[1:])

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from skimage.metrics import structural_similarity

from blemish.corruption import strength
from blemish.corruption.strength import compare, measure_shard, ssim
from blemish.data.files import read_csv
from blemish.data.records import Record, write_records
from blemish.errors import UserError


def a_pair():
    clean = np.random.default_rng(0).integers(50, 200, (32, 32, 3), dtype=np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:24] = True
    return clean, clean.copy(), mask


def test_identical_images():
    clean, same, mask = a_pair()
    measures = compare(clean, same, mask)
    assert measures["mask_fraction"] == 128 / 1024
    assert measures["psnr_inside"] == measures["psnr_outside"] == math.inf
    assert measures["ssim_inside"] == pytest.approx(1) and measures["ssim_outside"] == pytest.approx(1)
    assert measures["changed"] == 0


def test_a_change_is_seen_where_it_is():
    clean, corrupted, mask = a_pair()
    corrupted[8:16, 8:16, 1] += 30  # half of the mask, one channel
    measures = compare(clean, corrupted, mask)
    assert measures["psnr_inside"] == pytest.approx(10 * math.log10(255**2 / (900 / 6)))
    assert measures["psnr_outside"] == math.inf
    assert measures["ssim_inside"] < measures["ssim_outside"]
    assert measures["changed"] == 0.5
    assert compare(clean, corrupted, mask, threshold=0.2)["changed"] == 0
    inverse = compare(clean, corrupted, ~mask)
    assert inverse["psnr_inside"] == math.inf and inverse["changed"] == 0


def test_the_share_of_the_change_outside_the_mask():
    clean, corrupted, mask = a_pair()
    corrupted[8:16, 8:16] += 30  # 64 pixels inside
    corrupted[0:4, 0:4] -= 40  # 16 outside
    assert compare(clean, corrupted, mask)["outside"] == pytest.approx(16 * 40 / (16 * 40 + 64 * 30))
    assert math.isnan(compare(clean, clean, mask)["outside"])


def test_an_empty_mask_has_no_inside():
    clean, corrupted, mask = a_pair()
    measures = compare(clean, corrupted, np.zeros_like(mask))
    assert all(math.isnan(measures[name]) for name in ("psnr_inside", "ssim_inside", "changed"))
    assert measures["mask_fraction"] == 0


@pytest.fixture
def measured(tmp_path):
    """The files of a shard of two images, the second unchanged, and what `measure_shard` writes of them."""
    clean, corrupted, mask = a_pair()
    corrupted[8:16, 8:16, 1] += 30
    files = [tmp_path / name for name in ("clean.parquet", "corrupted.parquet", "latents.csv", "strength.csv")]
    write_records(files[0], [Record("007", clean, None), Record("b", clean, None)])
    write_records(files[1], [Record("007", corrupted, mask), Record("b", clean, ~mask)])
    latents = pd.DataFrame({"id": ["007", "b"], "latent_distance": [0.25, None], "evaluations": [10, 0]})
    latents.to_csv(files[2], index=False)
    measure_shard(*files)
    return files


def test_a_shards_measures_are_those_of_its_images(measured):
    clean, corrupted, mask = a_pair()
    corrupted[8:16, 8:16, 1] += 30
    table = read_csv(measured[3])
    assert table["id"].tolist() == ["007", "b"]
    assert table["evaluations"].tolist() == [10, 0]
    assert table["latent_distance"][0] == 0.25 and math.isnan(table["latent_distance"][1])
    for name, value in compare(clean, corrupted, mask).items():
        assert table[name][0] == pytest.approx(value)
    assert table["psnr_inside"][1] == math.inf and table["changed"][1] == 0


def test_the_number_of_threads_changes_no_measure(measured, monkeypatch):
    once = measured[3].read_bytes()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    measure_shard(*measured)
    assert measured[3].read_bytes() == once


@pytest.mark.parametrize("size", [(7, 7), (64, 64), (65, 40), (200, 31)])
@pytest.mark.parametrize("noise", [0, 2, 40, 255])
def test_ssim_is_scikit_images(size, noise):
    random = np.random.default_rng(noise)
    y, x = np.mgrid[: size[0], : size[1]]
    a = np.stack([(3 * y + 2 * x) % 256, 0 * y + 255, random.integers(0, 256, size)], -1).astype(np.uint8)
    b = np.clip(a + random.normal(size=a.shape) * noise, 0, 255).astype(np.uint8)
    _, expected = structural_similarity(a, b, channel_axis=-1, data_range=255, full=True)
    np.testing.assert_allclose(ssim(a, b), expected.mean(-1), rtol=0, atol=1e-9)


def test_an_image_that_is_unchanged_costs_no_ssim(monkeypatch):
    clean, same, mask = a_pair()
    monkeypatch.setattr(strength, "ssim", None)
    measures = compare(clean, same, np.zeros_like(mask))
    assert measures["ssim_outside"] == 1 and math.isnan(measures["ssim_inside"])


def test_files_of_different_images_are_refused(measured):
    clean, _, mask = a_pair()
    write_records(measured[1], [Record("b", clean, mask), Record("007", clean, mask)])
    with pytest.raises(UserError, match="different images"):
        measure_shard(*measured)


def test_measuring_needs_no_torch():
    program = "import blemish.corruption.strength, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0

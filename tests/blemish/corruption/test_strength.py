import math

import numpy as np
import pytest
import torch

from blemish.corruption.strength import compare, latent_distance


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


def test_an_empty_mask_has_no_inside():
    clean, corrupted, mask = a_pair()
    measures = compare(clean, corrupted, np.zeros_like(mask))
    assert all(math.isnan(measures[name]) for name in ("psnr_inside", "ssim_inside", "changed"))
    assert measures["mask_fraction"] == 0


def test_latent_distance_is_measured_inside_the_mask():
    z0 = torch.zeros(2, 4, 8, 8)
    z, mask = z0.clone(), torch.zeros(2, 1, 8, 8)
    z[0, :, :4], z[0, :, 4:] = 3, 100
    mask[0, :, :4] = 1
    distance = latent_distance(z, z0, mask)
    assert distance[0] == 3 and distance[1].isnan()

"""The committed generator, with the paper's inversion."""

from pathlib import Path

import numpy as np
import pytest
import torch
from paper import renoise

from blemish.corruption.diffusion import Diffusion
from blemish.corruption.renoise import invert
from blemish.corruption.sampling import resample
from blemish.miniworld.scenes import draw_scene

FOLDER = Path(__file__).parents[3] / "resources/mini/diffusion"


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(np.random.default_rng((99, i))) for i in range(6)]


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2, axis=(1, 2, 3)))


@torch.inference_mode()
def test_inverting_and_resampling_gives_the_reconstruction_back(scenes):
    diffusion = Diffusion.load(FOLDER)
    schedule = diffusion.schedule(50)
    z0 = diffusion.encode(np.stack([s.image for s in scenes]), [torch.Generator().manual_seed(i) for i in range(6)])
    condition = diffusion.embed([s.caption for s in scenes])
    generators = [torch.Generator().manual_seed(i) for i in range(6)]
    trajectory = invert(z0, condition, diffusion.denoiser, schedule, renoise(), [5, 10, 20], generators)
    for n, z in trajectory.items():
        back = resample(z, n, condition, diffusion.denoiser, schedule)
        assert psnr(diffusion.decode(back), diffusion.decode(z0)).min() > 30, n
    assert (trajectory[20] - z0).abs().mean() > (trajectory[5] - z0).abs().mean() > 0


def test_scenes_are_recognisable_after_the_vae(scenes):
    diffusion = Diffusion.load(FOLDER)
    images = np.stack([s.image for s in scenes])
    z0 = diffusion.encode(images, [torch.Generator().manual_seed(i) for i in range(6)])
    assert psnr(diffusion.decode(z0), images).mean() > 27

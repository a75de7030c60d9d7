"""The host never waits for the device while there is work to queue: "meta" tensors have no values to wait for, so that
whatever asks for one, or mixes devices, raises an error.
"""

import copy

import numpy as np
import pytest
import torch
from paper import parameters, renoise

from blemish.corruption import methods
from blemish.corruption.diffusion import Diffusion
from blemish.corruption.mask import blend, latent_mask
from blemish.corruption.renoise import invert
from blemish.corruption.sampling import resample


@pytest.fixture
def absent(diffusion):
    """The tiny model on a device that is not there."""
    (tokenizer, encoder), *_ = diffusion.text
    vae, unet, encoder = (copy.deepcopy(network).to("meta") for network in (diffusion.vae, diffusion.unet, encoder))
    return Diffusion(diffusion.folder, vae, unet, [(tokenizer, encoder)], torch.device("meta"))


def generators():
    return [torch.Generator().manual_seed(i) for i in range(2)]


@torch.inference_mode()
@pytest.mark.parametrize("reference", ["clean", "noised"])
def test_inversion_and_resampling(absent, reference):
    schedule = absent.schedule(50)
    settings = renoise(early_below=30, average_late=(1, 2), reg_steps=1, pair_rolls=1, reference=reference)
    condition = absent.embed(["a face", "a hand"])
    z0 = absent.encode(np.zeros((2, 16, 16, 3), np.uint8), generators())
    kept = invert(z0, condition, absent.denoiser, schedule, settings, [2, 3], generators(), noise=z0)
    z = resample(kept[3], 3, condition, absent.denoiser, schedule)
    assert z.device.type == "meta" and z.shape == z0.shape == (2, 4, 8, 8)
    assert absent._pixels(z).shape == (2, 16, 16, 3)


@torch.inference_mode()
@pytest.mark.parametrize("method", methods.methods())
def test_corruption(method):
    z = torch.empty(2, 4, 8, 8, device="meta")
    mask = latent_mask(torch.ones(2, 16, 16, dtype=torch.bool, device="meta"), z.shape[-2:], "nearest")
    z_corr = blend(mask, z, methods.load(method, **parameters(method))(z, z, 0.5, 0.5, generators()))
    assert z_corr.device.type == "meta" and z_corr.shape == z.shape


def test_what_asks_for_a_value_or_mixes_devices_is_noticed(absent):
    z = torch.empty(1, 4, 8, 8, device="meta")
    for fault in (lambda: z.sum().item(), lambda: z[z > 0], lambda: bool(z.any()), lambda: z + torch.ones(4, 8, 8)):
        with pytest.raises((RuntimeError, NotImplementedError)):
            fault()

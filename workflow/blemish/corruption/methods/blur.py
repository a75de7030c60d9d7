"""Blur (§5.3)."""

import torch
import torch.nn.functional as F

PARAMETERS = {
    "sigma": {
        "type": "float",
        "ge": 0.1,
        "le": 64,
        "description": "Standard deviation of the Gaussian filter, in latent cells (§5.3).\n\n"
        "ASSUME: the paper gives neither filter nor width; four cells are 32 pixels of Stable Diffusion's.",
    }
}


def select(z0, z_t, phi, p, generators, sigma):
    """The inverted latents under a Gaussian filter of standard deviation sigma > 0, in latent cells."""
    radius = max(1, round(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2).to(z_t)
    kernel = (kernel / kernel.sum()).expand(z_t.shape[1], 1, 1, -1)
    z = F.pad(z_t, (radius,) * 4, mode="replicate")
    z = F.conv2d(z, kernel, groups=z.shape[1])
    return F.conv2d(z, kernel.transpose(-2, -1), groups=z.shape[1])

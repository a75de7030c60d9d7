"""Loss of resolution (§5.3: "downscaling the latent resolution by 8x")."""

import torch.nn.functional as F

PARAMETERS = {"factor": {"type": "integer", "minimum": 1, "description": "Latent cells of a block's side"}}


def select(z0, z_t, phi, p, generators, factor=8):
    """The inverted latents averaged over blocks of factor x factor cells and enlarged again."""
    # ASSUME: by block means and up again by nearest neighbour; the paper names no
    # filter.
    size = z_t.shape[-2:]
    small = F.interpolate(z_t, size=[max(1, side // factor) for side in size], mode="area")
    return F.interpolate(small, size=size, mode="nearest")

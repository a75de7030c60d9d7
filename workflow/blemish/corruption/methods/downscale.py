"""Loss of resolution (§5.3: "downscaling the latent resolution by 8x")."""

import torch.nn.functional as F

PARAMETERS = {"factor": {"type": "int", "ge": 1, "description": "Side of a block in latent cells (§5.3)."}}


def select(z0, z_t, phi, p, generators, factor):
    """The inverted latents averaged over blocks of factor x factor cells and enlarged again."""
    size = z_t.shape[-2:]
    small = F.interpolate(z_t, size=[max(1, side // factor) for side in size], mode="area")
    return F.interpolate(small, size=size, mode="nearest")

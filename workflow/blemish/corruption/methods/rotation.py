"""Rotation (§5.3: "rotating the image by 90 degrees")."""

import torch

from blemish.errors import UserError

PARAMETERS = {
    "degrees": {
        "type": "int",
        "multiple_of": 90,
        "description": "Counter-clockwise (§5.3).\n\n"
        "ASSUME: the paper names no direction, and what lies in a region is as far from itself either way.",
    }
}


def select(z0, z_t, phi, p, generators, degrees):
    """The inverted latents turned about their centre, counter-clockwise, by a multiple of 90 degrees."""
    if degrees % 90 or (degrees % 180 and z_t.shape[-1] != z_t.shape[-2]):
        raise UserError(
            f"rotation by {degrees} degrees of {z_t.shape[-2]}x{z_t.shape[-1]} latents does not map the grid "
            "onto itself. Use square images and a multiple of 90."
        )
    return torch.rot90(z_t, degrees // 90, dims=(-2, -1))

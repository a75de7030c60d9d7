"""Resampling: from a latent after n inversion steps back to an image latent (Eq. 6 with eta = 0, DDIM)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

import torch

from blemish.corruption.schedule import Schedule

Condition = torch.Tensor | tuple[torch.Tensor, ...]
"""What the denoiser is conditioned on, one row per sample."""

Denoiser = Callable[[torch.Tensor, int, Condition], torch.Tensor]
"""eps_theta(z, t, c): (n, 4, h, w) at one timestep t -> the predicted noise, same shape."""


def standard_normal(like: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """N(0, 1) in the shape of the latents (b, 4, h, w), each sample's from its own CPU generator."""
    return torch.stack([torch.randn(like.shape[1:], generator=g) for g in generators]).to(like)


def resample(z: torch.Tensor, n: int, condition: Condition, denoiser: Denoiser, schedule: Schedule) -> torch.Tensor:
    """Takes the latents z (b, 4, h, w) after n inversion steps back to the image latents z_0; n = 0 returns
    z.
    """
    for i in range(n, 0, -1):
        e = denoiser(z, schedule.timestep(i), condition)
        z = schedule.phi(i) * z + schedule.psi(i) * e
    return z


def guided(denoiser: Denoiser, unconditional: Condition, guidance: float) -> Denoiser:
    """Classifier-free guidance: e = e_u + guidance (e_c - e_u), of one call for both.

    Args:
        unconditional: what e_u is conditioned on, a row per sample like the condition of e_c.
        guidance: its scale; at 1 this is e_c, at twice the evaluations.
    """

    def both(z: torch.Tensor, t: int, c: Condition) -> torch.Tensor:
        if isinstance(c, torch.Tensor):
            conditions = torch.cat([unconditional, c])
        else:
            conditions = tuple(torch.cat(pair) for pair in zip(unconditional, c, strict=True))
        without, given = denoiser(torch.cat([z, z]), t, conditions).chunk(2)
        return without + guidance * (given - without)

    return both


class Counting:
    """A denoiser that counts the samples it has evaluated."""

    def __init__(self, denoiser: Denoiser):
        self.denoiser, self.samples = denoiser, 0

    def __call__(self, z: torch.Tensor, t: int, c: Condition) -> torch.Tensor:
        self.samples += len(z)
        return self.denoiser(z, t, c)


def random_generator(seed: int, *names: str) -> torch.Generator:
    """A CPU generator that follows from the seed and the names (a purpose or recipe, an image id) alone."""
    digest = hashlib.sha256(json.dumps([seed, *names]).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))

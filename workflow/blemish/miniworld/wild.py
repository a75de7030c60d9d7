"""Wild artifacts: what a weaker generator makes of one or two objects of a scene, with the truth known.

They have nothing to do with the corruption pipeline: another network, trained for a tenth of the iterations, redraws
the whole scene from noise far beyond any corruption step, and a soft disc of its failure replaces one or two objects.
Most objects of an image stay intact, as in RichHF-18k, so that finding objects is not enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from blemish.miniworld.generator import sd_scheduler, to_tensor, tokenize
from blemish.miniworld.scenes import Scene

# Fixed by looking at pictures, before any detector was trained: from 16 steps on faces melt, hands lose
# fingers and signs garble; beyond 28 what they were can't be told.
FIRST_STEP, LAST_STEP = 16, 28
DISCS = (0, 1, 1, 1, 1, 2)
VISIBLE = 0.2  # smoothed absolute difference, images in [-1, 1]


@dataclass(frozen=True)
class Wild:
    """A generated image with artifacts.

    Attributes:
        image: (h, w, 3) uint8.
        damage: (h, w) bool, where it visibly differs from the same image without its failures.
        caption: the prompt.
    """

    image: np.ndarray
    damage: np.ndarray
    caption: str


@torch.no_grad()
def damage(scenes: list[Scene], vae, unet, text_encoder, tokenizer, seed: int, batch: int = 50) -> list[Wild]:
    """Draws the wild images of `scenes`; image i follows from (seed, i) alone."""
    made: list[Wild] = []
    for first in range(0, len(scenes), batch):
        part = scenes[first : first + batch]
        rngs = [np.random.default_rng((seed, first + i)) for i in range(len(part))]
        clean, failed = _redraw(part, vae, unet, text_encoder, tokenizer, rngs)
        for scene, rng, c, f in zip(part, rngs, clean, failed, strict=True):
            alpha = _discs(scene, rng)
            image = c + alpha * (f - c)
            change = ndimage.gaussian_filter(np.abs(image - c).max(axis=2), 1.0)
            pixels = np.round((image + 1) * 127.5).clip(0, 255).astype(np.uint8)
            made.append(Wild(pixels, (change > VISIBLE) & (alpha[..., 0] > 0), scene.caption))
    return made


def _redraw(scenes, vae, unet, text_encoder, tokenizer, rngs) -> tuple[np.ndarray, np.ndarray]:
    """The VAE's own images of the scenes and the generator's failures, (n, h, w, 3) in [-1, 1]."""
    scheduler = sd_scheduler()
    scheduler.set_timesteps(50)
    scale = vae.config.scaling_factor
    z0 = vae.encode(to_tensor(np.stack([s.image for s in scenes]))).latent_dist.mode() * scale
    condition = text_encoder(tokenize(tokenizer, [s.caption for s in scenes]))[0]
    noise = torch.from_numpy(np.stack([r.standard_normal(z0.shape[1:]) for r in rngs])).float()
    steps = torch.tensor([int(r.integers(FIRST_STEP, LAST_STEP + 1)) for r in rngs])
    z = scheduler.add_noise(z0, noise, scheduler.timesteps[-steps])
    for remaining in range(int(steps.max()), 0, -1):
        active = steps >= remaining
        t = scheduler.timesteps[-remaining]
        epsilon = unet(z[active], t, condition[active]).sample
        z[active] = scheduler.step(epsilon, t, z[active]).prev_sample
    return tuple(vae.decode(latent / scale).sample.clamp(-1, 1).permute(0, 2, 3, 1).numpy() for latent in (z0, z))


def _discs(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """(h, w, 1) opacity in [0, 1]: soft discs over none, one or two objects."""
    h, w = scene.labels.shape
    order = rng.permutation(len(scene.objects))
    ys, xs = np.mgrid[:h, :w]
    alpha = np.zeros((h, w))
    for index in order[: rng.choice(DISCS)]:
        cy, cx = ndimage.center_of_mass(scene.objects[index])
        radius = rng.uniform(9, 14)
        distance = np.hypot(ys - cy - rng.normal(0, 2), xs - cx - rng.normal(0, 2))
        alpha = np.maximum(alpha, np.clip((radius - distance) / 3 + 0.5, 0, 1))
    return alpha[..., None]

"""The only place where a mask meets latents: M_s on the latent grid, the blend of Eqs. 3 and 5, what it changed."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.measure import label

from blemish.errors import UserError


def latent_mask(mask: torch.Tensor, size: tuple[int, int], rule: str) -> torch.Tensor:
    """The mask M_s on the latent grid.

    Args:
        mask: (n, H, W) bool.
        size: (h, w) of the latents.
        rule: a latent cell is selected if "any" of its pixels is, if a "majority" (more than half) is, or if
            the pixel "nearest" to its centre is.

    Returns:
        (n, 1, h, w) float32, 0 or 1.
    """
    pixels = mask[:, None].float()
    if rule == "any":
        return F.adaptive_max_pool2d(pixels, size)
    if rule == "majority":
        return (F.adaptive_avg_pool2d(pixels, size) > 0.5).float()
    if rule == "nearest":
        return F.interpolate(pixels, size=size, mode="nearest-exact")
    raise UserError(f'corruption.mask_rule is "{rule}". Write any, majority or nearest.')


def corrupted_area(mask: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The pixels (n, H, W) bool, of `size` (H, W), whose latent cells a mask (n, 1, h, w) of `latent_mask` selects."""
    return F.interpolate(mask, size=size, mode="nearest-exact")[:, 0] > 0


def label_of(mask: np.ndarray, area: np.ndarray) -> np.ndarray:
    """The label of a corrupted image: the mask (H, W) bool without the marks of which nothing was corrupted.

    A mark is a connected part of the mask; one that is small beside a latent cell may select none. Eq. 1 holds up to
    the latent grid: each mark of the label meets the corrupted area (H, W) bool.
    """
    marks = label(mask, connectivity=2)
    met = np.zeros(marks.max() + 1, bool)
    met[marks[area]] = True
    return mask & met[marks]


def overlap(mask: np.ndarray, area: np.ndarray) -> float:
    """IoU of a label and the corrupted area, both (H, W) bool: 1 where Eq. 1 holds in every pixel; NaN without any."""
    union = (mask | area).sum()
    return float((mask & area).sum() / union) if union else float("nan")


def blend(mask: torch.Tensor, z_t: torch.Tensor, z_sel: torch.Tensor) -> torch.Tensor:
    """Corr.(M_s, z_t, z_0): z_sel inside the mask (b, 1, h, w), z_t itself outside it (Eqs. 3 and 5)."""
    return torch.where(mask > 0, z_sel, z_t)


def latent_distance(z: torch.Tensor, z0: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Root mean square of z - z0 (b, 4, h, w) over the masked cells (b, 1, h, w), (b,); NaN where there are none."""
    squares = ((z - z0) ** 2).mean(1, keepdim=True) * mask
    return (squares.sum((1, 2, 3)) / mask.sum((1, 2, 3))).sqrt()

"""How strong a corruption is in its mask, and how well it keeps to it: the constraints of §3, measured."""

from __future__ import annotations

import numpy as np
import torch
from skimage.metrics import structural_similarity

RANGE = 255
"""Of the images' values."""


def compare(clean: np.ndarray, corrupted: np.ndarray, mask: np.ndarray, threshold: float = 0.1) -> dict[str, float]:
    """Compares a corrupted image with the clean image's own reconstruction.

    Args:
        clean, corrupted: (h, w, 3) uint8, h and w at least 7.
        mask: (h, w) bool.
        threshold: a pixel is changed if a channel differs by more than this share of the range.

    Returns:
        mask_fraction: share of the pixels in the mask.
        psnr_inside, psnr_outside: in dB; infinite where nothing differs, NaN where there is no pixel.
        ssim_inside, ssim_outside: means of the SSIM map (7x7 windows, so that three pixels on either side of
            the mask's border see across it); NaN where there is no pixel.
        changed: share of the masked pixels that are changed; NaN where there is none.
    """
    difference = np.abs(clean.astype(np.float32) - corrupted)
    _, similarity = structural_similarity(clean, corrupted, channel_axis=-1, data_range=RANGE, full=True)
    similarity = similarity.mean(-1)
    return {
        "mask_fraction": float(mask.mean()),
        "psnr_inside": _psnr(difference[mask]),
        "psnr_outside": _psnr(difference[~mask]),
        "ssim_inside": _mean(similarity[mask]),
        "ssim_outside": _mean(similarity[~mask]),
        "changed": _mean(difference.max(-1)[mask] > threshold * RANGE),
    }


def latent_distance(z: torch.Tensor, z0: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Root mean square of z - z0 (b, 4, h, w) over the masked cells (b, 1, h, w), (b,); NaN where there is
    none.
    """
    squares = ((z - z0) ** 2).mean(1, keepdim=True) * mask
    return (squares.sum((1, 2, 3)) / mask.sum((1, 2, 3))).sqrt()


def _psnr(difference: np.ndarray) -> float:
    error = _mean(difference**2)
    return float(10 * np.log10(RANGE**2 / error)) if error != 0 else float("inf")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")

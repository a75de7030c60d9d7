"""How images of any size become squares: the shorter side is scaled to the size, the longer one cropped centrally.

So 1792x1024 at size 512 is scaled to 896x512 and loses 192 columns on either side.
"""

from __future__ import annotations

import numpy as np
from PIL import Image


def scale(image: Image.Image, size: int) -> np.ndarray:
    """Scales an image by Lanczos so that its shorter side is `size`, its proportions kept.

    Returns:
        (h, w, 3) uint8 RGB with min(h, w) = size.
    """
    factor = size / min(image.size)
    width, height = (max(size, round(side * factor)) for side in image.size)
    image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return np.array(image)


def crop(pixels: np.ndarray, size: int) -> np.ndarray:
    """Cuts the central size x size square out of (h, w, ...), which must not be smaller."""
    top, left = ((side - size) // 2 for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def stretch_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Brings a bool mask to (height, width) by nearest neighbour."""
    image = Image.fromarray(mask.astype(np.uint8))
    return np.array(image.resize((width, height), Image.Resampling.NEAREST)).astype(bool)

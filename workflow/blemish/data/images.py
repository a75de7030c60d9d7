"""Images as bytes: those from outside decoded by stated rules or refused with a reason; PNG; masks as run lengths."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

# Not all of Pillow's: some hand the file to other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MOST = 2**25  # pixels, 8192x4096: a few bytes may announce far more, and decoding them costs memory and seconds
LONGEST = 16  # times its shorter side; scaled by the shorter one, a longer image would fill the memory


def decode(content: bytes) -> Image.Image:
    """Decodes an encoded image as it is stored; of an animation, its first picture.

    Raises:
        ValueError: it is of none of `FORMATS`, is damaged, or has more than `MOST` pixels.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MOST:
            raise Image.DecompressionBombError
        image.load()
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise ValueError("it has too many pixels") from error
    except Exception as error:  # Pillow's decoders raise whatever their parsers meet
        raise ValueError(f"it is not an image that can be read; it begins with {content[:8].hex(' ')}") from error
    return image


def decode_rgb(content: bytes) -> Image.Image:
    """Decodes an image as a person sees it: upright by its EXIF, on white where it is transparent, in 8 bits.

    Raises:
        ValueError: see `decode`; or it is too narrow, or its numbers have no range that is known.
    """
    image = decode(content)
    if max(image.size) > LONGEST * min(image.size):
        raise ValueError(f"it is {image.width}x{image.height}, narrower than 1 to {LONGEST}")
    try:
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.mode in ("I", "F"):
            raise ValueError(f"its pixels are {image.mode}, of no known range")
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return image.convert("RGB")
    except (OSError, SyntaxError, TypeError, KeyError, OverflowError) as error:  # of EXIF and palettes
        raise ValueError(f"it cannot be converted ({error})") from error


def encode_png(pixels: np.ndarray, **options: int | bool) -> bytes:
    """Encodes (h, w) or (h, w, 3) uint8, or (h, w) uint16, losslessly; `options` are those of Pillow's PNG writer."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", **options)
    return buffer.getvalue()


def run_lengths(mask: np.ndarray, order: Literal["C", "F"] = "C") -> list[int]:
    """A mask (h, w) bool as the lengths of its runs, the first of False: row by row, or column by column ("F")."""
    flat = np.concatenate([[False], mask.ravel(order)])
    starts = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff([0, *starts, mask.size]).tolist()

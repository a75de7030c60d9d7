"""How strong a corruption is in its mask, and how well it keeps to it: the constraints of §3, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from blemish.data.files import read_csv, write_text
from blemish.data.prefetch import in_order
from blemish.data.records import Record, read_ids, read_records
from blemish.errors import UserError
from blemish.jobs.run import threads

RANGE = 255
"""Of the images' values."""

WINDOW = 7
"""Side of SSIM's windows, in pixels."""

ROWS = 64  # of an image at a time, so that what SSIM is worked out from stays in the processor's cache


def measure_shard(reconstructed: Path, corrupted: Path, latents: Path, out: Path) -> None:
    """Compares every corrupted image of a shard with the clean image's reconstruction.

    Args:
        reconstructed, corrupted: records of the same images in the same order; the latter with masks.
        latents: the CSV that corrupting them left.
        out: CSV, one row per image: id, the measures of `compare`, and the other columns of `latents`.

    Raises:
        UserError: a file is missing or damaged, or they are of different images.
    """
    latent_measures = read_csv(latents, ["id", "latent_distance", "evaluations"])
    if not read_ids(reconstructed) == read_ids(corrupted) == latent_measures["id"].tolist():
        raise UserError(
            f"{reconstructed}, {corrupted} and {latents} are of different images. Delete them and run again."
        )
    files = read_records(reconstructed, ["image"]), read_records(corrupted, ["image", "mask"])
    compared = pd.DataFrame(in_order(_compare_records, *files, threads=threads()))
    table = pd.concat([latent_measures[["id"]], compared, latent_measures.drop(columns="id")], axis=1)
    write_text(out, table.to_csv(index=False))


def _compare_records(clean: Record, corrupted: Record) -> dict[str, float]:
    return compare(clean.image, corrupted.image, corrupted.mask)


def compare(clean: np.ndarray, corrupted: np.ndarray, mask: np.ndarray, threshold: float = 0.1) -> dict[str, float]:
    """Compares a corrupted image with the clean image's own reconstruction.

    Args:
        clean, corrupted: (h, w, 3) uint8, h and w at least 7.
        mask: (h, w) bool.
        threshold: a pixel is changed if a channel differs by more than this share of the range.

    Returns:
        mask_fraction: share of the pixels in the mask.
        psnr_inside, psnr_outside: in dB; infinite where nothing differs, NaN without a pixel.
        ssim_inside, ssim_outside: means of the SSIM map (7x7 windows, so that three pixels on either side of
            the mask's border see across it); NaN without a pixel.
        changed: share of the masked pixels that are changed; NaN where there is none.
        outside: share of the change, the sum of absolute differences, that lies outside the mask; NaN without change.
    """
    difference = np.abs(clean.astype(np.float32) - corrupted)
    inside, outside, total = difference[mask], difference[~mask], difference.sum()
    # What was not changed, such as an image without a region, is like itself: nothing is worked out for it.
    similarity = ssim(clean, corrupted) if total else np.ones(mask.shape)
    return {
        "mask_fraction": float(mask.mean()),
        "psnr_inside": _psnr(inside),
        "psnr_outside": _psnr(outside),
        "ssim_inside": _mean(similarity[mask]),
        "ssim_outside": _mean(similarity[~mask]),
        "changed": _mean(inside.max(-1) > threshold * RANGE),
        "outside": float(outside.sum() / total) if total else float("nan"),
    }


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The SSIM of two images around every pixel, the mean of the channels' (Wang et al. 2004, uniform windows).

    As scikit-image's `structural_similarity` has it, in a ninth of the time: sums over windows are whole numbers here,
    and exact.

    Args:
        a, b: (h, w, c) uint8, h and w at least WINDOW; beyond the border they are mirrored.

    Returns:
        (h, w) float64, at most 1.
    """
    n, border = WINDOW**2, WINDOW // 2
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    total = np.zeros(a.shape[:2])
    for channel in range(a.shape[2]):
        planes = (np.pad(image[..., channel], border, mode="symmetric").astype(np.int32) for image in (a, b))
        whole_x, whole_y = planes
        for top in range(0, len(a), ROWS):
            x, y = (plane[top : top + ROWS + 2 * border] for plane in (whole_x, whole_y))
            sum_x, sum_y, sum_xy, sum_squares = map(_window_sums, (x, y, x * y, x * x + y * y))
            means, squares = sum_x * sum_y, sum_x * sum_x + sum_y * sum_y
            covariance = (n * sum_xy - means) * (2 / (n * (n - 1))) + c2
            variances = (n * sum_squares - squares) * (1 / (n * (n - 1))) + c2
            likeness = (means * (2 / n**2) + c1) * covariance
            total[top : top + ROWS] += likeness / ((squares * (1 / n**2) + c1) * variances)
    return total / a.shape[2]


def _window_sums(x: np.ndarray) -> np.ndarray:
    """The sum of each WINDOW x WINDOW window of x (h, w) that lies in it: (h - WINDOW + 1, w - WINDOW + 1)."""
    pairs = x[1:] + x[:-1]
    rows = pairs[:-5] + pairs[2:-3] + pairs[4:-1] + x[6:]
    pairs = rows[:, 1:] + rows[:, :-1]
    return pairs[:, :-5] + pairs[:, 2:-3] + pairs[:, 4:-1] + rows[:, 6:]


def _psnr(difference: np.ndarray) -> float:
    error = _mean(difference**2)
    return float(10 * np.log10(RANGE**2 / error)) if error != 0 else float("inf")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")

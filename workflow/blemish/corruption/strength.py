"""How strong a corruption is in its mask, and how well it keeps to it: the constraints of §3, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from skimage.metrics import structural_similarity

from blemish.data.files import read_csv, write_text
from blemish.data.records import read_ids, read_records
from blemish.errors import UserError

RANGE = 255
"""Of the images' values."""


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
    pairs = zip(read_records(reconstructed, ["image"]), read_records(corrupted, ["image", "mask"]), strict=True)
    compared = pd.DataFrame([compare(clean.image, record.image, record.mask) for clean, record in pairs])
    table = pd.concat([latent_measures[["id"]], compared, latent_measures.drop(columns="id")], axis=1)
    write_text(out, table.to_csv(index=False))


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
    _, similarity = structural_similarity(clean, corrupted, channel_axis=-1, data_range=RANGE, full=True)
    similarity = similarity.mean(-1)
    return {
        "mask_fraction": float(mask.mean()),
        "psnr_inside": _psnr(difference[mask]),
        "psnr_outside": _psnr(difference[~mask]),
        "ssim_inside": _mean(similarity[mask]),
        "ssim_outside": _mean(similarity[~mask]),
        "changed": _mean(difference.max(-1)[mask] > threshold * RANGE),
        "outside": float(difference[~mask].sum() / total) if (total := difference.sum()) else float("nan"),
    }


def _psnr(difference: np.ndarray) -> float:
    error = _mean(difference**2)
    return float(10 * np.log10(RANGE**2 / error)) if error != 0 else float("inf")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")

"""How strong corruptions came out, and how well they kept to their regions: the constraints of §3 in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import pandas as pd

from blemish.data.files import read_csv
from blemish.report.text import columns_markdown, escape_markdown

VISIBLE = 0.05
"""An image counts as visibly changed if this share of its region's pixels is (see `corruption.strength.compare`)."""

COLUMNS = {
    "recipe": ("Recipe", escape_markdown),
    "images": ("Images", str),
    "empty_masks": ("No region", str),
    "mask_fraction": ("Region", "{:.1%}".format),
    "left_out": ("Left out", "{:.1%}".format),
    "label_iou": ("Label IoU", "{:.3f}".format),
    "outside": ("Change outside", "{:.1%}".format),
    "visibly_changed": ("Visibly changed", "{:.1%}".format),
    "psnr_inside": ("PSNR inside", "{:.1f}".format),
    "psnr_outside": ("PSNR outside", "{:.1f}".format),
    "ssim_inside": ("SSIM inside", "{:.3f}".format),
    "ssim_outside": ("SSIM outside", "{:.3f}".format),
    "latent_distance": ("Latent distance", "{:.2f}".format),
}
LEGEND = (
    "Corrupted images against the clean ones' reconstructions, inside and outside the selected region. "
    "Left out: share of the selected pixels in marks too small for the latent grid, which the label lacks. "
    "Label IoU: of the label and the corrupted latent cells. "
    "Change outside: share of the absolute differences outside the label. "
    f"Visibly changed: share of the images with a region in which at least {VISIBLE:.0%} of its pixels are. "
    "PSNR in dB: median over the images, as it is infinite where nothing differs; all other columns: means."
)


def read_strength(paths: Sequence[str | PathLike]) -> pd.DataFrame:
    """The strength CSVs of a pool's shards, one row per image; `part` is its shard's position in `paths`."""
    return pd.concat(
        [read_csv(path, ["id", "latent_distance"]).assign(part=i) for i, path in enumerate(paths)], ignore_index=True
    )


def with_region(strength: pd.DataFrame) -> pd.DataFrame:
    """The images that were corrupted at all: those whose mask selects a cell of the latent."""
    return strength[strength["latent_distance"].notna()]


def captions(strength: pd.DataFrame, chosen: pd.DataFrame) -> list[str]:
    """A line for each chosen image (columns `id`, `part`): PSNR to the clean one in the region and beyond, share
    changed."""
    rows = chosen[["id", "part"]].merge(strength, on=["id", "part"], how="left", validate="1:1")
    return [
        f"in {row.psnr_inside:.0f} dB, out {row.psnr_outside:.0f} dB, {100 * row.changed:.0f} % changed"
        for row in rows.itertuples()
    ]


def strength_table(csvs: Mapping[str, Sequence[str | PathLike]]) -> pd.DataFrame:
    """One row per recipe, from the strength CSVs of all its shards.

    Returns:
        Columns `recipe`, `images`, `empty_masks` (images whose mask selects nothing: passed through, and left out of
        the measures), `mask_fraction`, `left_out`, `label_iou`, `outside`, `visibly_changed` (means, shares of 1),
        `psnr_inside`, `psnr_outside` (dB, medians), `ssim_inside`, `ssim_outside`, `latent_distance` (means).
    """
    rows = []
    for recipe, paths in csvs.items():
        strength = read_strength(paths)
        region = with_region(strength)
        counts = {"recipe": recipe, "images": len(strength), "empty_masks": len(strength) - len(region)}
        shares = {
            "mask_fraction": region["mask_fraction"].mean(),
            "left_out": strength["left_out"].mean(),
            "label_iou": region["label_iou"].mean(),
            "outside": region["outside"].mean(),
            "visibly_changed": (region["changed"] >= VISIBLE).mean(),
        }
        medians = region[["psnr_inside", "psnr_outside"]].median()
        means = region[["ssim_inside", "ssim_outside", "latent_distance"]].mean()
        rows.append({**counts, **shares, **medians, **means})
    return pd.DataFrame(rows)


def to_markdown(table: pd.DataFrame) -> str:
    """The table with its legend below."""
    return f"{columns_markdown(table, COLUMNS)}\n{LEGEND}\n"

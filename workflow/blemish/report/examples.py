"""Which images stand for a corrupted pool in figures and in the gallery: drawn by seed, or those that changed least.

A choice is decided by the seed or by a measure, never by hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os import PathLike

import numpy as np
import pandas as pd

from blemish.data.records import Record, read_records
from blemish.errors import UserError
from blemish.report.strength_table import with_region

LEAST_REGION = 0.01
"""Share of an image that its region must cover for Figure 8: a smaller one shows nothing either way."""


def drawn(strength: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """`count` images with a region, drawn by (seed, id): however the pool was cut into shards, the same ones.

    Raises:
        UserError: no image has a region.
    """
    candidates = with_region(strength)
    order = [hashlib.sha256(f"{seed}/{name}".encode()).hexdigest() for name in candidates["id"]]
    return _first(candidates.iloc[np.argsort(order)], count, "no image has a region to corrupt")


def least_changed(strength: pd.DataFrame, count: int) -> pd.DataFrame:
    """The `count` images whose region changed least: the smallest share of visibly changed pixels in it, and
    of equal ones the highest PSNR (§7: regions where no artifact came out).

    Raises:
        UserError: no image has a region of LEAST_REGION.
    """
    candidates = with_region(strength)
    candidates = candidates[candidates["mask_fraction"] >= LEAST_REGION]
    order = candidates.sort_values(["changed", "psnr_inside", "id"], ascending=[True, False, True])
    return _first(order, count, f"no region covers {LEAST_REGION:.0%} of its image")


def _first(images: pd.DataFrame, count: int, complaint: str) -> pd.DataFrame:
    if images.empty:
        raise UserError(f"figures: {complaint}, so there is nothing to show: lower selector.tau in the config.")
    return images.head(count)


def fetch(shards: Sequence[str | PathLike], chosen: pd.DataFrame) -> list[Record]:
    """The records of the chosen images (columns `id`, `part`), in that order; only their shards are read.

    Raises:
        UserError: a shard does not hold an image that it should.
    """
    found = {}
    for part, images in chosen.groupby("part"):
        wanted = set(images["id"])
        found |= {(part, record.id): record for record in read_records(shards[part], where=wanted.__contains__)}
    keys = list(zip(chosen["part"], chosen["id"], strict=True))
    for part, name in keys:
        if (part, name) not in found:
            raise UserError(f"figures: {shards[part]} does not hold the image {name}. Delete it and run again.")
    return [found[key] for key in keys]

"""The human-labelled samples of the region selection model, and the pool that the others become (§4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike

import numpy as np

from blemish.data.records import read_ids, read_records, write_records, write_shards
from blemish.errors import UserError


def draw_subset(
    samples: str | PathLike, count: int, seed: int, subset: str | PathLike, pool: Sequence[str | PathLike]
) -> None:
    """Draws samples uniformly without replacement; which ones depends on their ids and the seed alone.

    Args:
        samples: a shard of records with masks.
        count: how many to draw.
        seed: of the draw.
        subset: the shard to write with the samples drawn.
        pool: the shards to write with all others, without their masks.

    Raises:
        UserError: none would be left for the pool.
    """
    ids = read_ids(samples)
    if count >= len(ids):
        raise UserError(f"{samples} has {len(ids)} samples, and subset.count asks for {count}: lower it.")
    drawn = set(np.random.default_rng(seed).choice(sorted(ids), size=count, replace=False).tolist())
    write_records(subset, read_records(samples, where=drawn.__contains__))
    rest = read_records(samples, where=lambda id_: id_ not in drawn)
    write_shards(pool, (replace(record, mask=None) for record in rest))

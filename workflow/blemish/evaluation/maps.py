"""Probability maps on disk, in the levels that `measures.measure` counts: every number follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from blemish.data.files import atomic
from blemish.data.images import encode_png
from blemish.data.records import schema
from blemish.evaluation.measures import levels


def write_maps(path: Path, found: Iterable[tuple[str, np.ndarray]]) -> None:
    """Writes P as Parquet: id and, as Hugging Face's `Image`, a grey PNG of floor(256 P), 255 at most.

    Args:
        path: the file to write.
        found: (id, P (h, w) in [0, 1]), as `predict.probabilities` yields them.
    """
    rows = [
        {"id": id, "image": {"bytes": encode_png(levels(probability)), "path": f"{id}.png"}}
        for id, probability in found
    ]
    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema("id", "image")), temporary)

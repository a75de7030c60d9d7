"""Region selection (§3.1): the pixels of a clean image in which artifacts are most likely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blemish.data.records import SCHEMA, read_records, write_records
from blemish.detection.predict import probabilities
from blemish.detection.settings import Backbone, Inference, Selector


def select_regions(
    images: Path,
    weights: Path,
    backbone: Backbone,
    selector: Selector,
    inference: Inference,
    regions: Path,
) -> None:
    """Writes the records of a shard without their images, with M_s = {x : f(I)(x) >= tau} as masks (§3.1).

    Args:
        images: a shard of records, all images of one size.
        weights: of the region selection model f.
        backbone: its network.
        selector: tau.
        inference: as in `probabilities`.
        regions: the shard to write.

    Raises:
        UserError: a file is missing or damaged, or the weights do not fit the network.
    """
    about = [name for name in SCHEMA.names if name not in ("image", "mask")]
    found = probabilities(weights, backbone, read_records(images, ["image"]), inference)
    write_records(
        regions,
        (
            replace(record, mask=probability >= selector.tau)
            for record, (_, probability) in zip(read_records(images, about), found, strict=True)
        ),
    )

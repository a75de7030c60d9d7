"""Region selection (§3.1): the pixels of a clean image in which artifacts are most likely."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from blemish.data.files import write_text
from blemish.data.records import SCHEMA, Record, read_records, write_records
from blemish.detection.predict import probabilities
from blemish.detection.settings import Backbone, Inference
from blemish.errors import UserError

log = logging.getLogger(__name__)

BINS = 2**16
"""Probabilities that `match_area` tells apart."""

MOST = 0.9
"""A region that covers more of its image than this is counted, and more than a tenth of such is a warning."""


def select_regions(
    images: Path, weights: Path, backbone: Backbone, tau: float, inference: Inference, regions: Path
) -> None:
    """Writes the records of a shard without their images, with M_s = {x : f(I)(x) >= tau} as masks (§3.1).

    Logs what was selected: mean share of the pixels, images with no region and with nearly nothing else.

    Args:
        images: a shard of records, all images of one size.
        weights: of the region selection model f.
        backbone: its network.
        tau: threshold of the probability, in [0, 1].
        inference: as in `probabilities`.
        regions: the shard to write.

    Raises:
        UserError: a file is missing or damaged, or the weights do not fit the network.
    """
    about = [name for name in SCHEMA.names if name not in ("image", "mask")]
    found = probabilities(weights, backbone, read_records(images, ["image"]), inference)
    shares = []

    def selected(record: Record, probability: np.ndarray) -> Record:
        mask = probability >= tau
        shares.append(mask.mean())
        return replace(record, mask=mask)

    pairs = zip(read_records(images, about), found, strict=True)
    write_records(regions, (selected(record, probability) for record, (_, probability) in pairs))
    _tell(images, tau, np.array(shares))


def _tell(images: Path, tau: float, shares: np.ndarray) -> None:
    none, most = int((shares == 0).sum()), int((shares > MOST).sum())
    log.info(
        "%s, tau %.3g: regions hold %.1f %% of the pixels; %d of %d images have none, %d more than %.0f %% of theirs",
        *(images, tau, 100 * shares.mean() if len(shares) else 0, none, len(shares), most, 100 * MOST),
    )
    if max(none, most) > 0.1 * len(shares):
        log.warning(
            "%s: %d of %d images have no region and %d little else. Look at them in figures/, and see selector.tau.",
            *(images, none, len(shares), most),
        )


def match_area(
    samples: Path, images: Sequence[Path], weights: Path, backbone: Backbone, inference: Inference, out: Path
) -> None:
    """Writes the tau at which the regions of a pool hold the share of all pixels that people marked (§3.1).

    Args:
        samples: records with people's masks.
        images: all shards of the pool.
        weights, backbone, inference: as in `select_regions`.
        out: JSON to write: `tau`, to 1 / `BINS`, and the shares `marked` by people and `selected` by it.

    Raises:
        UserError: a file is missing, damaged or empty, or the weights do not fit the network.
    """
    marked = np.mean([record.mask.mean() for record in read_records(samples, ["mask"])])
    counts = np.zeros(BINS + 1, np.int64)
    for shard in images:
        for _, probability in probabilities(weights, backbone, read_records(shard, ["image"]), inference):
            counts += np.bincount((probability * BINS).astype(np.int64).ravel(), minlength=BINS + 1)
    if not counts.any():
        raise UserError(f"{images[0].parent} holds no images, and selector.tau: area needs them. Write a number.")
    at_least = counts[::-1].cumsum()[::-1] / counts.sum()  # share of the pixels from each bin on
    best = int(np.abs(at_least - marked).argmin())
    found = {"tau": best / BINS, "marked": float(marked), "selected": float(at_least[best])}
    write_text(out, json.dumps(found, indent=2) + "\n")

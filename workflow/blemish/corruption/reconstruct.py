"""Decodes the image latents of a shard: what the VAE alone makes of the clean images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from blemish.corruption.batches import in_batches
from blemish.corruption.engine import Engine
from blemish.corruption.latents import latents_of
from blemish.data.digests import digest, file_digest
from blemish.data.records import Record, join_records, read_records, write_records


@torch.inference_mode()
def reconstruct_shard(images: Path, inversion: Path, out: Path, engine: Engine) -> None:
    """Writes D(z_0) of every image of a shard, as records.

    A corrupted image is compared with it, and an image whose mask selects nothing becomes it, so that a detector
    cannot tell corrupted images by the decoder's traces.

    Args:
        images: a shard of records.
        inversion: an inversion shard of these images, of any step.
        out: records with the images' prompts and sources, in their order, without masks.

    Raises:
        UserError: the inversion is damaged, or of other images.
    """
    inverted = latents_of(images, inversion)

    def process(records: list[Record], rows: slice) -> Callable[[Path], None]:
        decoded = engine.diffusion.decode(inverted.at(0, rows).to(engine.diffusion.device))
        pairs = zip(records, decoded, strict=True)
        made = [replace(record, image=image, seed=engine.seed) for record, image in pairs]
        return partial(write_records, records=made)

    records = read_records(images, ["prompt", "source"])
    identity = digest(file_digest(images), file_digest(inversion), engine.diffusion.digest, engine.seed)
    with in_batches(records, len(inverted.ids), engine.batch_size, process, out, identity) as parts:
        join_records(parts, out)

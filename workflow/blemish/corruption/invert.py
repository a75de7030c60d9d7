"""Inverts the images of a shard to a step (§3.2, Eq. 2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from blemish.corruption.batches import image_ids, in_batches
from blemish.corruption.engine import Engine
from blemish.corruption.latents import Latents, join_latents, save_latents
from blemish.corruption.renoise import invert
from blemish.corruption.sampling import Counting, standard_normal
from blemish.corruption.settings import ReNoise
from blemish.data.digests import digest, file_digest
from blemish.data.records import Record, read_records
from blemish.errors import UserError


@torch.inference_mode()
def invert_shard(images: Path, previous: Path | None, out: Path, engine: Engine, renoise: ReNoise, n: int) -> None:
    """Takes the inversion of every image of a shard to step n; stores z_0, z_n and what going on needs.

    Args:
        images: a shard of records.
        previous: the same images' inversion to fewer steps, to go on from; None: from the images.
        out: the inversion shard (`blemish.corruption.latents`).
        n: inversion steps, 0..engine.steps; 0 encodes the images only.

    Raises:
        UserError: the schedule has fewer steps, `previous` is of something else, or the images do not suit the model.
    """
    if not 0 <= n <= engine.steps:
        raise UserError(f"{n} inversion steps are asked for and the schedule has {engine.steps}.")
    diffusion, ids = engine.diffusion, image_ids(images)
    identity = digest(file_digest(images), diffusion.digest, renoise.model_dump(), engine.steps, engine.seed)
    reached = Latents(previous).verified() if previous else None
    if reached and (reached.identity != identity or reached.steps[-1] > n):
        raise UserError(f"{previous} is not an earlier step of this inversion. Delete it and run again.")
    denoiser = Counting(diffusion.denoiser)

    def process(records: list[Record], rows: slice) -> Callable[[Path], None]:
        before, generators = denoiser.samples, engine.generators("inversion", records)
        if reached:
            latents = {i: reached.at(i, rows).to(diffusion.device) for i in reached.steps}
            for generator, random_state in zip(generators, reached.random_states(rows), strict=True):
                generator.set_state(random_state.clone())  # a view would be read from its storage's start
        else:
            pixels = np.stack([record.image for record in records])
            latents = {0: diffusion.encode(pixels, engine.generators("encode", records))}
        noise = None
        if renoise.reference == "noised":
            # From generators of its own, so that a trajectory taken further meets the same reference.
            noise = standard_normal(latents[0], engine.generators("reference", records))
        condition = diffusion.embed([record.prompt for record in records])
        start = max(latents.items())
        latents |= invert(latents[0], condition, denoiser, engine.schedule, renoise, [n], generators, start, noise)
        return partial(
            save_latents,
            ids=[record.id for record in records],
            latents={i: latents[i] for i in (0, n)},
            random_states=torch.stack([generator.get_state() for generator in generators]),
            identity=identity,
            evaluations=denoiser.samples - before,
        )

    records = read_records(images, ["prompt"] if reached else ["prompt", "image"])
    with in_batches(
        records, len(ids), engine.batch_size, process, out, digest(identity, n), lambda: denoiser.samples
    ) as parts:
        join_latents(parts, out, reached.evaluations if reached else 0)

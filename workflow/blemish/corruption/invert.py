"""Inverts the images of a shard to a step (§3.2, Eq. 2), in batches that are kept until the shard is whole."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import torch

from blemish.corruption.diffusion import Diffusion
from blemish.corruption.latents import Latents, join_latents, save_latents
from blemish.corruption.renoise import invert
from blemish.corruption.sampling import Counting, random_generator, standard_normal
from blemish.corruption.settings import ReNoise
from blemish.corruption.shards import batches, finished, image_ids, part_file, whole
from blemish.data.digests import digest, file_digest
from blemish.data.prefetch import ahead, behind
from blemish.data.records import Record, read_records
from blemish.errors import UserError
from blemish.jobs.progress import Progress

log = logging.getLogger(__name__)


@torch.inference_mode()
def invert_shard(
    images: Path,
    previous: Path | None,
    out: Path,
    state: Path,
    diffusion: Diffusion,
    settings: ReNoise,
    steps: int,
    n: int,
    seed: int,
    batch_size: int | None,
) -> None:
    """Takes the inversion of every image of a shard to step n; stores z_0, z_n and what going on needs.

    Args:
        images: a shard of records.
        previous: the same images' inversion to fewer steps, to go on from; None: from the images.
        out: the inversion shard (`blemish.corruption.latents`).
        state: a folder of this job's own; removed at the end.
        steps: DDIM steps of the whole schedule.
        n: inversion steps, 0..steps; 0 encodes the images only.
        batch_size: images at a time; None: what the memory holds.

    Raises:
        UserError: there are no n steps, `previous` is of something else, or the images don't suit the model.
    """
    schedule = diffusion.schedule(steps)
    if not 0 <= n <= steps:
        raise UserError(f"{n} inversion steps are asked for and the schedule has {steps}.")
    ids = image_ids(images)
    identity = digest(file_digest(images), diffusion.digest, settings.model_dump(), steps, seed)
    reached = Latents(previous).verified() if previous else None
    if reached and (reached.identity != identity or reached.steps[-1] > n):
        raise UserError(f"{previous} is no earlier step of this inversion: delete it and make it anew.")
    denoiser = Counting(diffusion.denoiser)

    def own(purpose: str, records: list[Record]) -> list[torch.Generator]:
        return [random_generator(seed, purpose, record.id) for record in records]

    def process(records: list[Record], first: int) -> tuple[dict[int, torch.Tensor], torch.Tensor]:
        """z_0 and z_n, and the random states at step n."""
        generators = own("inversion", records)
        if reached:
            rows = slice(first, first + len(records))
            latents = {i: reached.at(i, rows).to(diffusion.device) for i in reached.steps}
            for generator, random_state in zip(generators, reached.random_states(rows), strict=True):
                generator.set_state(random_state.clone())  # a view would be read from its storage's start
        else:
            latents = {0: diffusion.encode(np.stack([r.image for r in records]), own("encode", records))}
        noise = None
        if settings.reference == "noised":
            # From generators of its own, so that a trajectory taken further meets the same reference.
            noise = standard_normal(latents[0], own("reference", records))
        condition = diffusion.embed([r.prompt for r in records])
        start = max(latents.items())
        latents |= invert(latents[0], condition, denoiser, schedule, settings, [n], generators, start, noise)
        return {i: latents[i] for i in (0, n)}, torch.stack([g.get_state() for g in generators])

    folder = state / digest(identity, n)
    kept = (folder, ".safetensors", lambda part: len(Latents(part).ids))
    done = finished(*kept)
    records = read_records(images, ["prompt"] if reached else ["prompt", "image"])
    size = batch_size or diffusion.fitting_batch(diffusion.unet.config.sample_size)
    with Progress("inversion", len(ids), done, lambda: denoiser.samples) as progress, behind(1) as submit:
        for first, batch in ahead(batches(records, done, size)):
            before = denoiser.samples
            latents, random_states = process(batch, first)
            path, cost = part_file(folder, first, ".safetensors"), denoiser.samples - before
            submit(save_latents, path, [r.id for r in batch], latents, random_states, identity, cost)
            progress.update(len(batch))
    join_latents(whole(*kept, len(ids)), out, reached.evaluations if reached else 0)
    shutil.rmtree(state)

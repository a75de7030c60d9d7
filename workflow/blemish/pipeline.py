"""Inversion and corruption of whole shards: the only place where the mask is applied.

Both go through a shard in batches. A finished batch is kept in the job's state folder, so that a job that was
killed goes on behind it. Every random number follows from (seed, purpose, image id): neither shards nor
batches nor interruptions change a result.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from blemish import corruptions, strength
from blemish.background import ahead, behind
from blemish.diffusion import Counting, Diffusion
from blemish.inversion import ReNoise, invert
from blemish.job import UserError, write_text
from blemish.latents import Latents, join_latents, save_latents
from blemish.readers import read_csv
from blemish.records import Record, join_masks, read_ids, read_records, write_records
from blemish.sampling import resample, standard_normal
from blemish.shards import Progress, batches, digest, file_digest, finished, join_records, part_file, whole

log = logging.getLogger(__name__)


def latent_mask(mask: torch.Tensor, size: tuple[int, int], rule: str = "any") -> torch.Tensor:
    """The mask M_s on the latent grid.

    Args:
        mask: (n, H, W) bool.
        size: (h, w) of the latents.
        rule: a latent cell is selected if "any" of its pixels is, if a "majority" (more than half) is, or if
            the pixel "nearest" to its centre is.

    Returns:
        (n, 1, h, w) float32, 0 or 1.
    """
    # ASSUME: corruption.mask_rule, the paper multiplies a mask of pixels with latents and does not say how.
    pixels = mask[:, None].float()
    if rule == "any":
        return F.adaptive_max_pool2d(pixels, size)
    if rule == "majority":
        return (F.adaptive_avg_pool2d(pixels, size) > 0.5).float()
    if rule == "nearest":
        return F.interpolate(pixels, size=size, mode="nearest-exact")
    raise UserError(f'corruption.mask_rule is "{rule}": write any, majority or nearest.')


def blend(mask: torch.Tensor, z_t: torch.Tensor, z_sel: torch.Tensor) -> torch.Tensor:
    """Corr.(M_s, z_t, z_0): z_sel inside the mask (b, 1, h, w), z_t itself outside it (Eqs. 3 and 5)."""
    return torch.where(mask > 0, z_sel, z_t)


def random_generator(seed: int, *names: str) -> torch.Generator:
    """A CPU generator that follows from the seed and the names (a purpose or recipe, an image id) alone."""
    digest = hashlib.sha256(json.dumps([seed, *names]).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


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
        out: the inversion shard (`blemish.latents`).
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
    ids = _ids(images)
    identity = digest(file_digest(images), diffusion.digest, asdict(settings), steps, seed)
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
    with Progress("inversion", len(ids), done, denoiser) as progress, behind(1) as submit:
        for first, batch in ahead(batches(records, done, size)):
            before = denoiser.samples
            latents, random_states = process(batch, first)
            path, cost = part_file(folder, first, ".safetensors"), denoiser.samples - before
            submit(save_latents, path, [r.id for r in batch], latents, random_states, identity, cost)
            progress.update(len(batch))
    join_latents(whole(*kept, len(ids)), out, reached.evaluations if reached else 0)
    shutil.rmtree(state)


@torch.inference_mode()
def corrupt_shard(
    images: Path,
    masks: Path,
    inversion: Path,
    out: Path,
    strength_out: Path,
    state: Path,
    diffusion: Diffusion,
    recipe: dict,
    steps: int,
    mask_rule: str,
    seed: int,
    batch_size: int | None,
) -> None:
    """Corrupts every image of a shard inside its mask: I^corr. = Corr.(M_s, z_t, z_0), resampled and decoded.

    An image whose mask selects no latent is not resampled; it still goes through the VAE like all others, so
    that a detector cannot tell corrupted images by the decoder's traces.

    Args:
        images: a shard of records, in whose order the result is written.
        masks: records with the masks of the same ids.
        inversion: the inversion shard of the same images.
        out: records of the corrupted images with their masks and the recipe's name.
        strength_out: CSV, one row per image: id, the measures of `strength.compare` and `latent_distance`
            against the clean image's reconstruction, and the UNet evaluations spent on it.
        state: a folder of this job's own; removed at the end.
        recipe: name, method, step (counted as in the paper), and the method's own parameters.
        steps: DDIM steps of the whole schedule.
        mask_rule: see `latent_mask`.
        batch_size: images at a time; None: what the memory holds.

    Raises:
        UserError: the recipe has a fault, a mask is missing, or the inversion is of other images or too
            shallow.
    """
    schedule = diffusion.schedule(steps)
    own = {key: value for key, value in recipe.items() if key not in ("name", "method", "step")}
    select = corruptions.load(recipe["method"], **own)
    n = schedule.steps_inverted(recipe["step"])
    phi, p = schedule.phi_prime(n), schedule.p_prime(n)
    inverted = Latents(inversion).verified()
    if inverted.ids != _ids(images):
        raise UserError(f"{inversion} is the inversion of other images than those in {images}: invert them anew.")
    denoiser = Counting(diffusion.denoiser)

    def process(records: list[Record], first: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
        """The corrupted images, the clean ones' reconstructions, and the measures taken on the latents."""
        rows = slice(first, first + len(records))
        z0, z_t = (inverted.at(i, rows).to(diffusion.device) for i in (0, n))
        pixels = torch.from_numpy(np.stack([r.mask for r in records]))
        mask = latent_mask(pixels, z0.shape[-2:], mask_rule).to(diffusion.device)
        z, hit = z0.clone(), mask.flatten(1).any(1)
        clean = diffusion.decode(z0)
        corrupted = clean.copy()
        if hit.any():
            chosen = [r for r, selected in zip(records, hit.tolist(), strict=True) if selected]
            generators = [random_generator(seed, recipe["name"], r.id) for r in chosen]
            z_sel = select(z0[hit], z_t[hit], phi, p, generators)
            z_corr = blend(mask[hit], z_t[hit], z_sel)
            z[hit] = resample(z_corr, n, diffusion.embed([r.prompt for r in chosen]), denoiser, schedule)
            corrupted[hit.cpu().numpy()] = diffusion.decode(z[hit])
        measures = {
            "latent_distance": strength.latent_distance(z, z0, mask).cpu(),
            "evaluations": n * hit.cpu(),
        }
        return corrupted, clean, pd.DataFrame(measures)

    def save(records: list[Record], first: int, corrupted: np.ndarray, clean: np.ndarray, measures) -> None:
        compared = [strength.compare(a, b, r.mask) for a, b, r in zip(clean, corrupted, records, strict=True)]
        table = pd.concat([pd.DataFrame({"id": [r.id for r in records]}), pd.DataFrame(compared), measures], axis=1)
        write_text(part_file(folder, first, ".csv"), table.to_csv(index=False))
        changed = {"recipe": recipe["name"], "seed": seed}
        write_records(
            part_file(folder, first, ".parquet"),
            (replace(r, image=image, **changed) for r, image in zip(records, corrupted, strict=True)),
        )

    sources = [file_digest(path) for path in (images, masks, inversion)]
    folder = state / digest(sources, diffusion.digest, recipe, steps, mask_rule, seed)
    kept = (folder, ".parquet", lambda part: len(read_ids(part)))
    done = finished(*kept)
    size = batch_size or diffusion.fitting_batch(diffusion.unet.config.sample_size)
    # The encoder of PNG and the SSIM are the slow part of saving; both leave the interpreter to others.
    threads = max(1, torch.get_num_threads() // 2)
    title = f"corruption {recipe['name']}"
    with Progress(title, len(inverted.ids), done, denoiser) as progress, behind(threads) as submit:
        for first, batch in ahead(batches(join_masks(images, masks), done, size)):
            submit(save, batch, first, *process(batch, first))
            progress.update(len(batch))
    parts = whole(*kept, len(inverted.ids))
    table = pd.concat([read_csv(path.with_suffix(".csv")) for path in parts], ignore_index=True)
    empty = table.latent_distance.isna().sum()
    log.info("%s: %d of %d masks select nothing, passed through", title, empty, len(table))
    join_records(parts, out)
    write_text(strength_out, table.to_csv(index=False))
    shutil.rmtree(state)


def _ids(images: Path) -> list[str]:
    ids = read_ids(images)
    if not ids:
        raise UserError(f"{images} holds no images: cut the set into fewer shards.")
    return ids

"""Corrupts the images of a shard inside their masks (§3.2, Eqs. 3 to 6), in batches that are kept until it is whole."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from blemish.corruption import methods, strength
from blemish.corruption.diffusion import Diffusion
from blemish.corruption.latents import Latents
from blemish.corruption.mask import blend, latent_mask
from blemish.corruption.sampling import Counting, random_generator, resample
from blemish.corruption.shards import batches, finished, image_ids, part_file, whole
from blemish.data.digests import digest, file_digest
from blemish.data.files import read_csv, write_text
from blemish.data.prefetch import ahead, behind
from blemish.data.records import Record, join_masks, join_records, read_ids, write_records
from blemish.errors import UserError
from blemish.jobs.progress import Progress

log = logging.getLogger(__name__)


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
    select = methods.load(recipe["method"], **own)
    n = schedule.steps_inverted(recipe["step"])
    phi, p = schedule.phi_prime(n), schedule.p_prime(n)
    inverted = Latents(inversion).verified()
    if inverted.ids != image_ids(images):
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
    with Progress(title, len(inverted.ids), done, lambda: denoiser.samples) as progress, behind(threads) as submit:
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

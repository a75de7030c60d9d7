"""Corrupts the images of a shard inside their masks (§3.2, Eqs. 3 to 6)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from blemish.corruption import methods
from blemish.corruption.batches import in_batches
from blemish.corruption.cost import resampling
from blemish.corruption.engine import Engine
from blemish.corruption.latents import latents_of
from blemish.corruption.mask import blend, corrupted_area, label_of, latent_distance, latent_mask, overlap
from blemish.corruption.sampling import Counting, guided, resample
from blemish.corruption.settings import Recipe
from blemish.data.digests import digest, file_digest
from blemish.data.files import read_csv, write_text
from blemish.data.prefetch import in_order
from blemish.data.records import Record, join_masks, join_records, write_records
from blemish.jobs.run import threads
from blemish.steps import steps_inverted

log = logging.getLogger(__name__)


@torch.inference_mode()
def corrupt_shard(
    reconstructed: Path,
    masks: Path,
    inversion: Path,
    out: Path,
    latents_out: Path,
    engine: Engine,
    name: str,
    recipe: Recipe,
    mask_rule: str,
    guidance: float,
) -> None:
    """Corrupts every image of a shard inside its mask: I^corr. = Corr.(M_s, z_t, z_0), resampled and decoded.

    An image whose mask selects no latent cell is its reconstruction. The mask written with an image is its label:
    `label_of` its mask.

    Args:
        reconstructed: the images' reconstructions (`reconstruct_shard`), in whose order the result is written.
        masks: records with the masks of the same ids.
        inversion: the inversion shard of the same images, to the recipe's step.
        out: records of the corrupted images with their masks and the recipe's name.
        latents_out: CSV, one row per image: id, `latent_distance`, the UNet evaluations spent on it, `left_out`
            (share of the mask's pixels that the label lacks) and `label_iou` (`overlap` of label and corrupted area).
        name: the recipe's; its random numbers follow from it.
        mask_rule: see `latent_mask`.
        guidance: the scale of classifier-free guidance in resampling; 1 is none.

    Raises:
        UserError: a mask is missing, or the inversion is damaged, of other images, or to another step.
    """
    diffusion, schedule = engine.diffusion, engine.schedule
    select = methods.load(recipe.method, **recipe.model_dump(exclude={"method", "step"}))
    n = steps_inverted(recipe.step, engine.steps)
    phi, p = schedule.phi_prime(n), schedule.p_prime(n)
    inverted = latents_of(reconstructed, inversion)
    denoiser = Counting(diffusion.denoiser)

    def process(records: list[Record], rows: slice) -> Callable[[Path], None]:
        z0, z_t = (inverted.at(i, rows).to(diffusion.device) for i in (0, n))
        pixels = torch.from_numpy(np.stack([record.mask for record in records]))
        selected = latent_mask(pixels, z0.shape[-2:], mask_rule)
        mask = selected.to(diffusion.device)
        z, hit = z0.clone(), selected.flatten(1).any(1)  # on the host: the device need not be waited for
        made = list(records)
        if chosen := hit.nonzero().flatten().tolist():
            generators = engine.generators(name, [records[i] for i in chosen])
            z_sel = select(z0[chosen], z_t[chosen], phi, p, generators)
            z_corr = blend(mask[chosen], z_t[chosen], z_sel)
            condition = diffusion.embed([records[i].prompt for i in chosen])
            denoise = denoiser if guidance == 1 else guided(denoiser, diffusion.embed_nothing(len(chosen)), guidance)
            z[chosen] = resample(z_corr, n, condition, denoise, schedule)
            for i, image in zip(chosen, diffusion.decode(z[chosen]), strict=True):
                made[i] = replace(made[i], image=image)
        distance, spent = latent_distance(z, z0, mask).cpu(), resampling(n, guidance) * hit

        def save(path: Path) -> None:
            areas = corrupted_area(selected, pixels.shape[-2:]).numpy()
            labels = list(in_order(label_of, [record.mask for record in records], areas, threads=threads()))
            table = pd.DataFrame(
                {
                    "id": [record.id for record in records],
                    "latent_distance": distance,
                    "evaluations": spent,
                    "left_out": [
                        1 - label.sum() / record.mask.sum() if record.mask.any() else 0.0
                        for record, label in zip(records, labels, strict=True)
                    ],
                    "label_iou": [overlap(label, area) for label, area in zip(labels, areas, strict=True)],
                }
            )
            write_text(path.with_suffix(".csv"), table.to_csv(index=False))
            labelled = (
                replace(record, mask=label, recipe=name, seed=engine.seed)
                for record, label in zip(made, labels, strict=True)
            )
            write_records(path, labelled)

        return save

    sources = [file_digest(path) for path in (reconstructed, masks, inversion)]
    identity = digest(
        sources, diffusion.digest, name, recipe.model_dump(), engine.steps, mask_rule, guidance, engine.seed
    )
    records = join_masks(reconstructed, masks)
    with in_batches(
        records, len(inverted.ids), engine.batch_size, process, out, identity, lambda: denoiser.samples
    ) as parts:
        table = pd.concat([read_csv(path.with_suffix(".csv")) for path in parts], ignore_index=True)
        empty = table.latent_distance.isna().sum()
        log.info("%d of %d masks select nothing: those images pass through", empty, len(table))
        join_records(parts, out)
        write_text(latents_out, table.to_csv(index=False))

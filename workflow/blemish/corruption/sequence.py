"""Everything that the rules do to corrupt a shard, in one call, for commands and figures that stand alone."""

from __future__ import annotations

from pathlib import Path

from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.engine import Engine
from blemish.corruption.invert import invert_shard
from blemish.corruption.reconstruct import reconstruct_shard
from blemish.corruption.settings import Recipe, ReNoise
from blemish.corruption.strength import measure_shard
from blemish.steps import steps_inverted


def corrupt_images(
    images: Path,
    masks: Path,
    folder: Path,
    engine: Engine,
    renoise: ReNoise,
    name: str,
    recipe: Recipe,
    mask_rule: str,
    guidance: float,
) -> tuple[Path, Path]:
    """Inverts, reconstructs, corrupts and measures a shard by one recipe.

    Args:
        images, masks: records of the same ids.
        folder: for the files that come of it.
        name: the recipe's.
        mask_rule, guidance: see `corrupt_shard`.

    Returns:
        The files of the corrupted records (`corrupt_shard`) and of their strength (`measure_shard`).
    """
    files = ("inversion.safetensors", "reconstructed.parquet", "corrupted.parquet", "latents.csv", "strength.csv")
    inversion, reconstructed, corrupted, latents, strength = (folder / file for file in files)
    invert_shard(images, None, inversion, engine, renoise, steps_inverted(recipe.step, engine.steps))
    reconstruct_shard(images, inversion, reconstructed, engine)
    corrupt_shard(reconstructed, masks, inversion, corrupted, latents, engine, name, recipe, mask_rule, guidance)
    measure_shard(reconstructed, corrupted, latents, strength)
    return corrupted, strength

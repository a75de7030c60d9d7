"""Corrupts every image of a shard inside its mask by one recipe (§3.2, Eqs. 3 to 6)."""

from pathlib import Path


def corrupt(
    reconstructed: Path,
    masks: Path,
    inversion: Path,
    out: Path,
    latents: Path,
    engine: dict,
    name: str,
    recipe: dict,
    mask_rule: str,
    guidance: float,
) -> None:
    """Writes the corrupted images with their masks, and how far each one's latents were changed."""
    from blemish.corruption.corrupt import corrupt_shard
    from blemish.corruption.engine import Engine
    from blemish.corruption.settings import RECIPES

    recipe = RECIPES[recipe["method"]](**recipe)
    how = Engine.load(**engine), name, recipe, mask_rule, guidance
    corrupt_shard(reconstructed, masks, inversion, out, latents, *how)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        corrupt(
            reconstructed=Path(snakemake.input.reconstructed),
            masks=Path(snakemake.input.masks),
            inversion=Path(snakemake.input.inversion),
            out=Path(snakemake.output.images),
            latents=Path(snakemake.output.latents),
            engine={"diffusion": snakemake.input.diffusion, **snakemake.params.engine},
            name=snakemake.wildcards.recipe,
            recipe=snakemake.params.recipe,
            mask_rule=snakemake.params.mask_rule,
            guidance=snakemake.params.guidance,
        )

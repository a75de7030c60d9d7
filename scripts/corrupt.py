"""Corrupts every image of a shard inside its mask by one recipe (§3.2, Eqs. 3 to 6)."""

from pathlib import Path


def corrupt(diffusion, device, dtype, images, masks, inversion, out, strength_out, state, **settings):
    from blemish.corruption.corrupt import corrupt_shard
    from blemish.corruption.diffusion import Diffusion

    corrupt_shard(
        images=Path(images),
        masks=Path(masks),
        inversion=Path(inversion),
        out=Path(out),
        strength_out=Path(strength_out),
        state=Path(state),
        diffusion=Diffusion.load(diffusion, device, dtype),
        **settings,
    )


if __name__ == "__main__":
    from blemish.jobs.run import run, state

    with run(snakemake):
        corrupt(
            **{name: snakemake.input[name] for name in ("images", "masks", "inversion", "diffusion")},
            out=snakemake.output.images,
            strength_out=snakemake.output.strength,
            state=state(snakemake.output.images),
            recipe={"name": snakemake.wildcards.recipe, **snakemake.params.recipe},
            **{
                name: snakemake.params[name] for name in ("steps", "mask_rule", "seed", "batch_size", "device", "dtype")
            },
        )

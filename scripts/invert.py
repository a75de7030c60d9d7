"""Inverts every image of a shard once, to all steps that any recipe asks for (§3.2, Eq. 2)."""

from pathlib import Path


def invert(images, diffusion, out, state, settings, steps, keep, seed, batch_size, device, dtype):
    from blemish.diffusion import Diffusion
    from blemish.inversion import ReNoise
    from blemish.pipeline import invert_shard

    invert_shard(
        images=Path(images),
        out=Path(out),
        state=Path(state),
        diffusion=Diffusion.load(diffusion, device, dtype),
        settings=ReNoise(**settings),
        steps=steps,
        keep=keep,
        seed=seed,
        batch_size=batch_size,
    )


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        invert(
            images=snakemake.input.images,
            diffusion=snakemake.input.diffusion,
            out=snakemake.output[0],
            **{
                name: snakemake.params[name]
                for name in ("state", "settings", "steps", "keep", "seed", "batch_size", "device", "dtype")
            },
        )

"""Takes the inversion of a shard's images to the next stored step (§3.2, Eq. 2)."""

from pathlib import Path


def invert(images, previous, diffusion, out, state, renoise, steps, n, seed, batch_size, device, dtype):
    from blemish.corruption.diffusion import Diffusion
    from blemish.corruption.invert import invert_shard
    from blemish.corruption.settings import ReNoise

    invert_shard(
        images=Path(images),
        previous=Path(previous) if previous else None,
        out=Path(out),
        state=Path(state),
        diffusion=Diffusion.load(diffusion, device, dtype),
        settings=ReNoise(**renoise),
        steps=steps,
        n=n,
        seed=seed,
        batch_size=batch_size,
    )


if __name__ == "__main__":
    from blemish.jobs.run import run, state

    with run(snakemake):
        invert(
            images=snakemake.input.images,
            previous=snakemake.input.get("previous"),
            diffusion=snakemake.input.diffusion,
            out=snakemake.output[0],
            state=state(snakemake.output[0]),
            n=int(snakemake.wildcards.n),
            **{name: snakemake.params[name] for name in ("renoise", "steps", "seed", "batch_size", "device", "dtype")},
        )

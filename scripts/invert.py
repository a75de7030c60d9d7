"""Takes the inversion of a shard's images to the next stored step (§3.2, Eq. 2)."""

from pathlib import Path


def invert(images, previous, diffusion, out, state, settings, n, seed, batch_size, device, dtype):
    from blemish.corruption.diffusion import Diffusion
    from blemish.corruption.invert import invert_shard
    from blemish.corruption.renoise import ReNoise

    settings = dict(settings)
    steps = settings.pop("steps")
    settings.pop("stride")
    invert_shard(
        images=Path(images),
        previous=Path(previous) if previous else None,
        out=Path(out),
        state=Path(state),
        diffusion=Diffusion.load(diffusion, device, dtype),
        settings=ReNoise(**settings),
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
            **{name: snakemake.params[name] for name in ("settings", "seed", "batch_size", "device", "dtype")},
        )

"""Takes the inversion of a shard's images to the next stored step (§3.2, Eq. 2)."""

from pathlib import Path


def invert(images: Path, previous: Path | None, out: Path, engine: dict, renoise: dict, n: int) -> None:
    """Writes the latents after n inversion steps."""
    from blemish.corruption.engine import Engine
    from blemish.corruption.invert import invert_shard
    from blemish.corruption.settings import ReNoise

    invert_shard(images, previous, out, Engine.load(**engine), ReNoise(**renoise), n)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        previous = snakemake.input.get("previous")
        invert(
            images=Path(snakemake.input.images),
            previous=Path(previous) if previous else None,
            out=Path(snakemake.output[0]),
            engine={"diffusion": snakemake.input.diffusion, **snakemake.params.engine},
            renoise=snakemake.params.renoise,
            n=int(snakemake.wildcards.n),
        )

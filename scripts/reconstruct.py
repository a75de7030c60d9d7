"""Decodes the image latents of a shard's images: D(z_0), the clean images' reconstructions."""

from pathlib import Path


def reconstruct(images: Path, inversion: Path, out: Path, engine: dict) -> None:
    """Writes the reconstructions as records."""
    from blemish.corruption.engine import Engine
    from blemish.corruption.reconstruct import reconstruct_shard

    reconstruct_shard(images, inversion, out, Engine.load(**engine))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        reconstruct(
            images=Path(snakemake.input.images),
            inversion=Path(snakemake.input.inversion),
            out=Path(snakemake.output[0]),
            engine={"diffusion": snakemake.input.diffusion, **snakemake.params.engine},
        )

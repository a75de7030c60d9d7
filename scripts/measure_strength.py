"""Measures how strong the corruption of each image of a shard is, and how well it keeps to its mask."""

from pathlib import Path


def measure_strength(reconstructed: Path, corrupted: Path, latents: Path, out: Path) -> None:
    """Writes one row of measures per image."""
    from blemish.corruption.strength import measure_shard

    measure_shard(reconstructed, corrupted, latents, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        measure_strength(
            reconstructed=Path(snakemake.input.reconstructed),
            corrupted=Path(snakemake.input.corrupted),
            latents=Path(snakemake.input.latents),
            out=Path(snakemake.output[0]),
        )

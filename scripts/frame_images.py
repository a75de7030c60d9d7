"""Frames one part of a folder of your own images as records; tells what was refused."""


def frame_images(folder: str, part: int, parts: int, size: int, pool: str, ledger: str) -> None:
    """See `sources.folder.frame_part`."""
    from blemish.sources.folder import frame_part

    frame_part(folder, part, parts, size, pool, ledger)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        frame_images(
            folder=snakemake.params.folder,
            part=int(snakemake.wildcards.shard),
            parts=snakemake.params.parts,
            size=snakemake.params.size,
            pool=snakemake.output.pool,
            ledger=snakemake.output.ledger,
        )

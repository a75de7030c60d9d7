"""Frames one part of a folder of one's own images as records; tells what was refused."""


def frame_images(folder, part, parts, size, pool, ledger):
    from blemish.sources.folder import frame_part

    frame_part(folder, part, parts, size, pool, ledger)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        frame_images(
            part=int(snakemake.wildcards.shard),
            pool=snakemake.output.pool,
            ledger=snakemake.output.ledger,
            **{name: snakemake.params[name] for name in ("folder", "parts", "size")},
        )

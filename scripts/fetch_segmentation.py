"""Fetches a pre-trained segmentation model."""

from pathlib import Path


def fetch_segmentation(source, out):
    from blemish.sources.fetch import fetch_file

    fetch_file(source, Path(out))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        fetch_segmentation(snakemake.params.source, snakemake.output[0])

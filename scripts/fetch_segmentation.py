"""Fetches a pre-trained segmentation model."""

from pathlib import Path


def fetch_segmentation(source, out):
    from blemish.sources.files import fetch_file

    fetch_file(source, Path(out))


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        fetch_segmentation(snakemake.params.source, snakemake.output[0])

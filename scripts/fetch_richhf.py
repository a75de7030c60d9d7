"""Fetches one split's label file of RichHF-18k."""

from pathlib import Path


def fetch_richhf(source, out):
    from blemish.sources.fetch import fetch_file

    fetch_file(source, Path(out))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        fetch_richhf(snakemake.params.source, snakemake.output[0])

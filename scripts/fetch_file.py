"""Fetches one file: a split's records of RichHF-18k, or a pre-trained segmentation model."""


def fetch_file(source: dict, out: str) -> None:
    """See `sources.fetch.fetch_file`."""
    from blemish.sources.fetch import fetch_file
    from blemish.sources.settings import File

    fetch_file(File(**source), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        fetch_file(source=snakemake.params.source, out=snakemake.output[0])

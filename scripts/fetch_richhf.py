"""Fetches one TFRecord file of RichHF-18k."""

from blemish import job


def main(source: dict, out: str) -> None:
    from blemish.sources.files import fetch_file

    fetch_file(source, out)


if __name__ == "__main__":
    with job.run(snakemake):
        main(source=snakemake.params.source, out=snakemake.output[0])

"""Fetches the images of one split's labelled samples, at the configured size."""


def fetch_richhf_images(labels: str, split: str, source: dict, size: int, out: str) -> None:
    """See `sources.richhf_images.fetch_images`."""
    from blemish.data.records import read_ids
    from blemish.sources.richhf_images import fetch_images
    from blemish.sources.settings import Images

    fetch_images(read_ids(labels), split, Images(**source), size, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        fetch_richhf_images(
            labels=snakemake.input.labels,
            split=snakemake.wildcards.split,
            source=snakemake.params.source,
            size=snakemake.params.size,
            out=snakemake.output[0],
        )

"""Fetches the images of one split's labelled samples, at the configured size."""

from pathlib import Path


def fetch_richhf_images(labels, source, split, size, out):
    from blemish.data.records import read_ids
    from blemish.sources.mirror import fetch_images

    fetch_images(read_ids(labels), split, source, size, Path(out))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        fetch_richhf_images(
            labels=snakemake.input.labels,
            out=snakemake.output[0],
            **{name: snakemake.params[name] for name in ("source", "split", "size")},
        )

"""Joins images and masks of one split of RichHF-18k at the configured size."""


def join_richhf(images: str, labels: str, out: str) -> None:
    """See `labels.join.join`."""
    from blemish.labels.join import join

    join(images, labels, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        join_richhf(images=snakemake.input.images, labels=snakemake.input.labels, out=snakemake.output[0])

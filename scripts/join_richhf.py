"""Joins images and masks of one split of RichHF-18k at the configured size."""


def join_richhf(labels, images, out):
    from blemish.labels.join import join

    join(images, labels, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        join_richhf(
            labels=snakemake.input.labels,
            images=snakemake.input.images,
            out=snakemake.output[0],
        )

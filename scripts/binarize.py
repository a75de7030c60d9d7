"""Binarizes one split's artifact maps: three annotators, two of three (§4.1)."""


def binarize(tfrecords: str, split: str, labels: dict, masks: str, audit: str, summary: str, processes: int) -> None:
    """See `labels.binarize.label_split`."""
    from blemish.labels.binarize import label_split
    from blemish.labels.settings import Labels

    label_split([tfrecords], split, Labels(**labels), masks, audit, summary, processes)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        binarize(
            tfrecords=snakemake.input.tfrecords,
            split=snakemake.wildcards.split,
            labels=snakemake.params.labels,
            masks=snakemake.output.labels,
            audit=snakemake.output.audit,
            summary=snakemake.output.summary,
            processes=snakemake.threads,
        )

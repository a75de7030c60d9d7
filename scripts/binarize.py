"""Turns the artifact maps of one split of RichHF-18k into binary masks, with an audit."""

from blemish import job


def main(tfrecords: list[str], split: str, policy: dict, labels: str, audit: str, summary: str, processes: int) -> None:
    from blemish.annotations import Policy
    from blemish.sources.richhf import label_split

    label_split(tfrecords, split, Policy(**policy), labels, audit, summary, processes)


if __name__ == "__main__":
    with job.run(snakemake):
        main(
            tfrecords=list(snakemake.input),
            split=snakemake.params.split,
            policy=snakemake.params.policy,
            labels=snakemake.output.labels,
            audit=snakemake.output.audit,
            summary=snakemake.output.summary,
            processes=snakemake.threads,
        )

"""Binarizes one split's artifact maps: three annotators, two of three (§4.1)."""


def binarize(tfrecords, split, policy, processes, labels, audit, summary):
    from blemish.labels.binarize import label_split
    from blemish.labels.settings import Labels

    label_split(tfrecords, split, Labels(**policy), labels, audit, summary, processes)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        binarize(
            tfrecords=[snakemake.input.tfrecords],
            processes=snakemake.threads,
            **{name: snakemake.params[name] for name in ("split", "policy")},
            **{name: snakemake.output[name] for name in ("labels", "audit", "summary")},
        )

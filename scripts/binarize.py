"""Binarizes one split's artifact maps: three annotators, two of three (§4.1)."""


def binarize(tfrecords, split, policy, processes, labels, audit, summary):
    from blemish.annotations import Policy
    from blemish.sources.richhf import label_split

    label_split(tfrecords, split, Policy(**policy), labels, audit, summary, processes)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        binarize(
            tfrecords=[snakemake.input.tfrecords],
            processes=snakemake.threads,
            **{name: snakemake.params[name] for name in ("split", "policy")},
            **{name: snakemake.output[name] for name in ("labels", "audit", "summary")},
        )

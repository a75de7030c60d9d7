"""The audit of one split's labels: counts per policy beside the paper's, levels, maps that decided."""


def figure_labels(audit, summary, tfrecords, out):
    from blemish import figures, label_audit
    from blemish.readers import read_csv, read_json

    verdicts = label_audit.choose(read_csv(audit, ["reason", "evidence", "annotators"]))
    maps = label_audit.read_maps(tfrecords, [name for ids in verdicts.values() for name in ids])
    figures.save(label_audit.draw(read_json(summary, ["levels", "kept_under"]), verdicts, maps), out)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        figure_labels(
            **{name: snakemake.input[name] for name in ("audit", "summary")},
            tfrecords=[snakemake.input.tfrecord],
            out=snakemake.output,
        )

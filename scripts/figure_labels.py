"""The audit of one split's labels: counts per policy beside the paper's, levels, maps that decided."""


def figure_labels(audit, summary, tfrecords, out):
    import json
    from pathlib import Path

    import pandas as pd

    from blemish import figures, label_audit

    verdicts = label_audit.choose(pd.read_csv(audit))
    maps = label_audit.read_maps(tfrecords, [name for ids in verdicts.values() for name in ids])
    figures.save(label_audit.draw(json.loads(Path(summary).read_text()), verdicts, maps), out)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        figure_labels(
            **{name: snakemake.input[name] for name in ("audit", "summary")},
            tfrecords=[snakemake.input.tfrecord],
            out=snakemake.output,
        )

"""The audit of one split's labels: counts per policy beside the paper's, levels, maps that decided."""


def figure_labels(audit, summary, tfrecords, out):
    from blemish.data.files import read_csv, read_json
    from blemish.report import figures
    from blemish.report.audit import choose, draw, read_maps

    verdicts = choose(read_csv(audit, ["reason", "evidence", "annotators"]))
    maps = read_maps(tfrecords, [name for ids in verdicts.values() for name in ids])
    figures.save(draw(read_json(summary, ["levels", "kept_under"]), verdicts, maps), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_labels(
            **{name: snakemake.input[name] for name in ("audit", "summary")},
            tfrecords=[snakemake.input.tfrecord],
            out=snakemake.output,
        )

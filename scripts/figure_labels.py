"""The audit of one split's labels: counts per policy beside the paper's, levels, maps that decided."""


def figure_labels(audit: str, summary: str, tfrecord: str, out: list[str]) -> None:
    """Draws the audit of one split."""
    from blemish.data.files import read_csv, read_json
    from blemish.report import figures
    from blemish.report.audit import draw, examples, read_maps

    verdicts = examples(read_csv(audit, ["reason", "evidence", "annotators"]))
    maps = read_maps([tfrecord], [name for ids in verdicts.values() for name in ids])
    figures.save(draw(read_json(summary, ["levels", "kept_under"]), verdicts, maps), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_labels(
            audit=snakemake.input.audit,
            summary=snakemake.input.summary,
            tfrecord=snakemake.input.tfrecord,
            out=snakemake.output,
        )

"""One of Tables 1 to 4: our numbers beside the paper's."""

from pathlib import Path


def make_table(metrics, runs, table, published, csv, markdown, latex):
    from blemish import tables
    from blemish.job import atomic

    frame = tables.assemble(table, published, tables.read_metrics(metrics, runs))
    for path, text in (
        (csv, frame.to_csv(index=False)),
        (markdown, tables.to_markdown(frame, table)),
        (latex, tables.to_latex(frame, table)),
    ):
        with atomic(path) as temporary:
            Path(temporary).write_text(text)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        make_table(
            metrics=snakemake.input.metrics,
            runs=snakemake.params.detectors,
            table=snakemake.params.table,
            published=snakemake.params.published,
            **{name: snakemake.output[name] for name in ("csv", "markdown", "latex")},
        )

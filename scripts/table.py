"""One of Tables 1 to 4: our numbers beside the paper's."""


def make_table(metrics, runs, table, published, csv, markdown, latex):
    from blemish.data.files import write_text
    from blemish.report import tables

    frame = tables.assemble(table, published, tables.read_metrics(metrics, runs))
    write_text(csv, frame.to_csv(index=False))
    write_text(markdown, tables.to_markdown(frame, table))
    write_text(latex, tables.to_latex(frame, table))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        make_table(
            metrics=snakemake.input.metrics,
            runs=snakemake.params.detectors,
            table=snakemake.params.table,
            published=snakemake.params.published,
            **{name: snakemake.output[name] for name in ("csv", "markdown", "latex")},
        )

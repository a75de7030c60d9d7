"""All tables in one text, as the terminal shows it at the end of a run, and in one Markdown file."""


def show_tables(csv, layouts, text, markdown):
    from blemish.data.files import read_csv, write_text
    from blemish.report import tables

    shown = [(read_csv(path, ["ours", "paper"]), table) for path, table in zip(csv, layouts, strict=True)]
    write_text(text, tables.to_text(tables.to_rich(frame, table) for frame, table in shown))
    write_text(markdown, "\n".join(tables.to_markdown(frame, table) for frame, table in shown))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        show_tables(
            csv=snakemake.input.csv,
            layouts=snakemake.params.tables,
            **{name: snakemake.output[name] for name in ("text", "markdown")},
        )

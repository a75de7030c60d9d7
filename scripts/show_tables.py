"""All tables in one text, as the terminal shows it at the end of a run, and in one Markdown file."""


def show_tables(csv: list[str], tables: list[dict], text: str, markdown: str) -> None:
    """Puts the tables, whose numbers lie in CSVs, below each other."""
    from blemish.data.files import read_csv, write_text
    from blemish.report.tables import to_markdown, to_rich, to_text

    shown = [(read_csv(path, ["ours", "paper"]), table) for path, table in zip(csv, tables, strict=True)]
    write_text(text, to_text(to_rich(frame, table) for frame, table in shown))
    write_text(markdown, "\n".join(to_markdown(frame, table) for frame, table in shown))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        show_tables(
            csv=snakemake.input.csv,
            tables=snakemake.params.tables,
            text=snakemake.output.text,
            markdown=snakemake.output.markdown,
        )

"""One of Tables 1 to 4: our numbers beside the paper's."""


def write_table(
    metrics: list[str],
    cards: list[str],
    detectors: list[list[str]],
    table: dict,
    published: dict | None,
    csv: str,
    markdown: str,
    latex: str,
) -> None:
    """Writes one table in three formats; `detectors` says whose each metrics.json and card.json is."""
    from blemish.data.files import read_json, write_text
    from blemish.experiments import Detector, group
    from blemish.report import tables

    paths = group((Detector(*fields) for fields in detectors), metrics)
    trained = {
        Detector(*fields): read_json(card, ["images"])["images"] for fields, card in zip(detectors, cards, strict=True)
    }
    frame = tables.assemble(table, published, tables.read_metrics(paths), trained)
    write_text(csv, frame.to_csv(index=False))
    write_text(markdown, tables.to_markdown(frame, table))
    write_text(latex, tables.to_latex(frame, table))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        write_table(
            metrics=snakemake.input.metrics,
            cards=snakemake.input.cards,
            detectors=snakemake.params.detectors,
            table=snakemake.params.table,
            published=snakemake.params.published,
            csv=snakemake.output.csv,
            markdown=snakemake.output.markdown,
            latex=snakemake.output.latex,
        )

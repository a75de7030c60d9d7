"""The paper's claims, judged on the run's own detectors."""


def judge_claims(
    per_image: list[str],
    detectors: list[list[str]],
    claims: dict,
    tables: dict,
    published: dict,
    csv: str,
    markdown: str,
) -> None:
    """Judges every claim on the per-image counts; `detectors` says whose each per_image.parquet is."""
    from blemish.data.files import read_table, write_text
    from blemish.experiments import Detector, group
    from blemish.report.claims import judge, to_markdown
    from blemish.report.tables import published_numbers

    counts = (read_table(path, ["id", "tp", "fp", "fn"]) for path in per_image)
    results = group((Detector(*fields) for fields in detectors), counts)
    judged = judge(claims, results, published_numbers(tables, published))
    write_text(csv, judged.to_csv(index=False))
    write_text(markdown, to_markdown(judged))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        judge_claims(
            per_image=snakemake.input.per_image,
            detectors=snakemake.params.detectors,
            claims=snakemake.params.claims,
            tables=snakemake.params.tables,
            published=snakemake.params.published,
            csv=snakemake.output.csv,
            markdown=snakemake.output.markdown,
        )

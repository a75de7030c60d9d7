"""The paper's claims, judged on the run's own detectors."""


def judge_claims(per_image, runs, statements, tables, published, csv, markdown):
    from blemish.data.files import read_table, write_text
    from blemish.experiments import Detector
    from blemish.report import claims
    from blemish.report.tables import published_numbers

    results = {}
    for path, (*fields, _seed) in zip(per_image, runs, strict=True):
        frame = read_table(path, ["id", "tp", "fp", "fn"])
        results.setdefault(Detector(*fields), []).append(frame)
    judged = claims.judge(statements, results, published_numbers(tables, published))
    write_text(csv, judged.to_csv(index=False))
    write_text(markdown, claims.to_markdown(judged))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        judge_claims(
            per_image=snakemake.input.per_image,
            runs=snakemake.params.detectors,
            statements=snakemake.params.claims,
            tables=snakemake.params.tables,
            published=snakemake.params.published,
            **{name: snakemake.output[name] for name in ("csv", "markdown")},
        )

"""How strong each recipe came out, and how well it kept to its region."""


def write_strength_table(strength: list[str], corrupted: list[list[str]], csv: str, markdown: str) -> None:
    """Writes a row for each recipe; `corrupted` says of which corrupted pool each strength CSV is."""
    from blemish.data.files import write_text
    from blemish.experiments import CorruptedPool, group
    from blemish.report.strength_table import strength_table, to_markdown

    table = strength_table(group((CorruptedPool(*name).recipe for name in corrupted), strength))
    write_text(csv, table.to_csv(index=False))
    write_text(markdown, to_markdown(table))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        write_strength_table(
            strength=snakemake.input.strength,
            corrupted=snakemake.params.corrupted,
            csv=snakemake.output.csv,
            markdown=snakemake.output.markdown,
        )

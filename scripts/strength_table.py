"""How strong each recipe came out, and how well it kept to its region."""


def make_strength_table(strength, parts, csv, markdown):
    from blemish.data.files import write_text
    from blemish.report.figures import split
    from blemish.report.strength import strength_table, to_markdown

    table = strength_table(split(strength, parts))
    write_text(csv, table.to_csv(index=False))
    write_text(markdown, to_markdown(table))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        make_strength_table(
            strength=snakemake.input.strength,
            parts=snakemake.params.parts,
            **{name: snakemake.output[name] for name in ("csv", "markdown")},
        )

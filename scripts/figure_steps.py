"""Table 3 as a curve: IoU against the corruption step."""


def figure_steps(table: str, steps: dict[str, int], out: list[str]) -> None:
    """Draws a table of several recipes against their steps."""
    from blemish.data.files import read_csv
    from blemish.report import figures, plots

    figures.save(plots.iou_against_step(read_csv(table, ["ours"]), steps), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_steps(table=snakemake.input[0], steps=snakemake.params.steps, out=snakemake.output)

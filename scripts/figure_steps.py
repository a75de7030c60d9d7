"""Table 3 as a curve: IoU against the corruption step."""


def figure_steps(table, steps, out):
    from blemish import figures, plots
    from blemish.readers import read_csv

    figures.save(plots.iou_against_step(read_csv(table, ["ours"]), steps), out)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        figure_steps(
            table=snakemake.input.table,
            steps=snakemake.params.steps,
            out=snakemake.output,
        )

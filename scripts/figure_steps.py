"""Table 3 as a curve: IoU against the corruption step."""


def figure_steps(table, steps, out):
    import pandas as pd

    from blemish import figures, plots

    figures.save(plots.iou_against_step(pd.read_csv(table), steps), out)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        figure_steps(
            table=snakemake.input.table,
            steps=snakemake.params.steps,
            out=snakemake.output,
        )

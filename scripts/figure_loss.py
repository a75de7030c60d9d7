"""The training losses of all detectors."""


def figure_loss(loss, runs, out):
    import pandas as pd

    from blemish import figures, plots
    from blemish.tables import Detector

    losses = {(Detector(*fields), seed): pd.read_csv(path) for path, (*fields, seed) in zip(loss, runs, strict=True)}
    figures.save(plots.loss_curves(losses), out)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        figure_loss(
            loss=snakemake.input.loss,
            runs=snakemake.params.detectors,
            out=snakemake.output,
        )

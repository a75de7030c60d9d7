"""The training losses of all detectors."""


def figure_loss(loss, runs, out):
    from blemish import figures, plots
    from blemish.readers import read_csv
    from blemish.tables import Detector

    losses = {
        (Detector(*fields), seed): read_csv(path, ["iteration", "loss"])
        for path, (*fields, seed) in zip(loss, runs, strict=True)
    }
    figures.save(plots.loss_curves(losses), out)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        figure_loss(
            loss=snakemake.input.loss,
            runs=snakemake.params.detectors,
            out=snakemake.output,
        )

"""The training losses of all detectors."""


def figure_loss(loss, runs, out):
    from blemish.data.files import read_csv
    from blemish.experiments import Detector
    from blemish.report import figures, plots

    losses = {
        (Detector(*fields), seed): read_csv(path, ["iteration", "loss"])
        for path, (*fields, seed) in zip(loss, runs, strict=True)
    }
    figures.save(plots.loss_curves(losses), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_loss(
            loss=snakemake.input.loss,
            runs=snakemake.params.detectors,
            out=snakemake.output,
        )

"""The training losses of all detectors."""


def figure_loss(losses: list[str], detectors: list[list[str]], out: list[str]) -> None:
    """Draws the loss.csv of each detector and seed; `detectors` says whose each is."""
    from blemish.data.files import read_csv
    from blemish.experiments import Detector, group
    from blemish.report import figures, plots

    tables = (read_csv(path, ["iteration", "loss"]) for path in losses)
    figures.save(plots.loss_curves(group((Detector(*fields) for fields in detectors), tables)), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_loss(losses=snakemake.input, detectors=snakemake.params.detectors, out=snakemake.output)

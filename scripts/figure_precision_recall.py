"""Precision against recall of all detectors."""


def figure_precision_recall(per_image: list[str], detectors: list[list[str]], out: list[str]) -> None:
    """Draws the per_image.parquet of each detector and seed; `detectors` says whose each is."""
    from blemish.data.files import read_table
    from blemish.experiments import Detector, group
    from blemish.report import figures, plots

    tables = (read_table(path, ["artifact", "background"]) for path in per_image)
    figures.save(plots.precision_recall(group((Detector(*fields) for fields in detectors), tables)), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_precision_recall(per_image=snakemake.input, detectors=snakemake.params.detectors, out=snakemake.output)

"""Precision against recall of all detectors."""


def figure_precision_recall(per_image, runs, out):
    from blemish.data.files import read_table
    from blemish.experiments import Detector
    from blemish.report import figures, plots

    results = {
        (Detector(*fields), seed): read_table(path, ["artifact", "background"])
        for path, (*fields, seed) in zip(per_image, runs, strict=True)
    }
    figures.save(plots.precision_recall(results), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_precision_recall(
            per_image=snakemake.input.per_image,
            runs=snakemake.params.detectors,
            out=snakemake.output,
        )

"""Precision against recall of all detectors."""


def figure_precision_recall(per_image, runs, out):
    from blemish import figures, plots
    from blemish.readers import read_table
    from blemish.tables import Detector

    results = {
        (Detector(*fields), seed): read_table(path, ["artifact", "background"])
        for path, (*fields, seed) in zip(per_image, runs, strict=True)
    }
    figures.save(plots.precision_recall(results), out)


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        figure_precision_recall(
            per_image=snakemake.input.per_image,
            runs=snakemake.params.detectors,
            out=snakemake.output,
        )

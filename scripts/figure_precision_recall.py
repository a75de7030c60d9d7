"""Precision against recall of all detectors."""


def figure_precision_recall(per_image, runs, out):
    import pandas as pd

    from blemish import figures, plots
    from blemish.tables import Detector

    results = {
        (Detector(*fields), seed): pd.read_parquet(path, columns=["artifact", "background"])
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

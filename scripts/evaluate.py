"""Evaluates a detector on the human-labelled test set; keeps what each image contributes (§4.4)."""

from pathlib import Path


def evaluate(
    weights: str, backbone: dict, test: str, threshold: float, inference: dict, per_image: str, metrics: str
) -> None:
    """See `evaluation.evaluate.evaluate`."""
    from blemish.detection.settings import Backbone, Inference
    from blemish.evaluation.evaluate import evaluate

    network, how = Backbone(**backbone), Inference(**inference)
    evaluate(Path(weights), network, test, threshold, how, Path(per_image), Path(metrics))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        evaluate(
            weights=snakemake.input.weights,
            backbone=snakemake.params.backbone,
            test=snakemake.input.test,
            threshold=snakemake.params.threshold,
            inference=snakemake.params.inference,
            per_image=snakemake.output.per_image,
            metrics=snakemake.output.metrics,
        )

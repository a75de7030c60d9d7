"""Evaluates a detector on the human-labelled test set; keeps what each image contributes (§4.4)."""

from pathlib import Path


def evaluate(
    weights: str,
    backbone: dict,
    test: str,
    evaluation: dict,
    per_image: str,
    metrics: str,
    device: str,
    amp: str | None,
) -> None:
    """See `evaluation.evaluate.evaluate`."""
    from blemish.detection.settings import Backbone
    from blemish.evaluation import evaluate
    from blemish.evaluation.settings import Evaluation

    evaluate.evaluate(
        Path(weights),
        Backbone(**backbone),
        test,
        Evaluation(**evaluation),
        Path(per_image),
        Path(metrics),
        device=device,
        amp=amp,
    )


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        evaluate(
            weights=snakemake.input.weights,
            backbone=snakemake.params.backbone,
            test=snakemake.input.test,
            evaluation=snakemake.params.evaluation,
            per_image=snakemake.output.per_image,
            metrics=snakemake.output.metrics,
            device=snakemake.params.device,
            amp=snakemake.params.amp,
        )

"""Trains one detector, on one GPU or, where the job has several, on all of them together."""

from pathlib import Path


def train_detector(
    images: list[str],
    masks: list[str] | None,
    init: str,
    backbone: dict,
    training: dict,
    weights: str,
    seed: int,
    device: str,
    gpus: int,
) -> None:
    """See `detection.launch.train_records`; its other files lie beside the weights."""
    from blemish.detection.launch import train_records
    from blemish.detection.settings import Backbone, Training
    from blemish.jobs.run import state

    net, settings, out = Backbone(**backbone), Training(**training), Path(weights).parent
    train_records(images, masks, net, settings, out, state(weights), seed=seed, device=device, init=init, gpus=gpus)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        train_detector(
            images=snakemake.input.images,
            masks=snakemake.input.get("masks"),
            init=snakemake.input.init,
            backbone=snakemake.params.backbone,
            training=snakemake.params.training,
            weights=snakemake.output.weights,
            seed=int(snakemake.wildcards.seed),
            device=snakemake.params.device,
            gpus=snakemake.resources.get("gpu", 1),
        )

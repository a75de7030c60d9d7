"""Trains one detector, on one GPU or, where the job has several, on all of them together."""

from pathlib import Path


def train_detector(images, masks, init, weights, backbone, settings, seed, device, state, gpus=1):
    from blemish.detection.launch import train_records
    from blemish.detection.settings import Training

    train_records(
        images=[str(path) for path in images],
        masks=[str(path) for path in masks] if masks else None,
        init=init,
        out=str(Path(weights).parent),
        state=str(state),
        backbone=backbone,
        seed=int(seed),
        device=device,
        gpus=gpus,
        settings=Training(**settings),
    )


if __name__ == "__main__":
    from blemish.jobs.run import run, state

    with run(snakemake):
        train_detector(
            images=snakemake.input.images,
            masks=snakemake.input.get("masks"),
            init=snakemake.input.get("init"),
            weights=snakemake.output.weights,
            gpus=snakemake.resources.get("gpu", 1),
            seed=int(snakemake.wildcards.seed),
            state=state(snakemake.output.weights),
            **{name: snakemake.params[name] for name in ("backbone", "settings", "device")},
        )

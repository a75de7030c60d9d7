"""Finds the threshold of the region selection model at which its regions are as large as people's marks (§3.1)."""

from pathlib import Path


def match_area(samples: str, images: list[str], weights: str, backbone: dict, inference: dict, tau: str) -> None:
    """See `detection.regions.match_area`."""
    from blemish.detection.regions import match_area
    from blemish.detection.settings import Backbone, Inference

    shards = [Path(path) for path in images]
    match_area(Path(samples), shards, Path(weights), Backbone(**backbone), Inference(**inference), Path(tau))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        match_area(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            weights=snakemake.input.weights,
            backbone=snakemake.params.backbone,
            inference=snakemake.params.inference,
            tau=snakemake.output[0],
        )

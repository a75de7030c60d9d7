"""Selects the regions of a shard's images in which artifacts are most likely (§3.1)."""

from pathlib import Path


def select_regions(
    images: str, weights: str, backbone: dict, tau: float | str, matched: str | None, inference: dict, regions: str
) -> None:
    """See `detection.regions.select_regions`; `matched` holds the tau of "area"."""
    from blemish.data.files import read_json
    from blemish.detection.regions import select_regions
    from blemish.detection.settings import Backbone, Inference

    threshold = read_json(Path(matched))["tau"] if matched else tau
    network, how = Backbone(**backbone), Inference(**inference)
    select_regions(Path(images), Path(weights), network, threshold, how, Path(regions))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        select_regions(
            images=snakemake.input.images,
            weights=snakemake.input.weights,
            backbone=snakemake.params.backbone,
            tau=snakemake.params.tau,
            matched=snakemake.input.get("tau"),
            inference=snakemake.params.inference,
            regions=snakemake.output[0],
        )

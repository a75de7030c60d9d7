"""Selects the regions of a shard's images in which artifacts are most likely (§3.1)."""

from pathlib import Path


def select_regions(images: str, weights: str, backbone: dict, selector: dict, inference: dict, regions: str) -> None:
    """See `detection.regions.select_regions`."""
    from blemish.detection.regions import select_regions
    from blemish.detection.settings import Backbone, Inference, Selector

    network, chosen, how = Backbone(**backbone), Selector(**selector), Inference(**inference)
    select_regions(Path(images), Path(weights), network, chosen, how, Path(regions))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        select_regions(
            images=snakemake.input.images,
            weights=snakemake.input.weights,
            backbone=snakemake.params.backbone,
            selector=snakemake.params.selector,
            inference=snakemake.params.inference,
            regions=snakemake.output[0],
        )

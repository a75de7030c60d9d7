"""Selects the regions of a shard's images in which artifacts are most likely (§3.1)."""

from pathlib import Path


def select_regions(
    images: str,
    weights: str,
    backbone: dict,
    selector: dict,
    regions: str,
    device: str,
    batch_size: int,
    amp: str | None,
) -> None:
    """See `detection.regions.select_regions`."""
    from blemish.detection import regions as selection
    from blemish.detection.settings import Backbone, Selector

    selection.select_regions(
        Path(images),
        Path(weights),
        Backbone(**backbone),
        Selector(**selector),
        Path(regions),
        device=device,
        batch_size=batch_size,
        amp=amp,
    )


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        select_regions(
            images=snakemake.input.images,
            weights=snakemake.input.weights,
            backbone=snakemake.params.backbone,
            selector=snakemake.params.selector,
            regions=snakemake.output[0],
            device=snakemake.params.device,
            batch_size=snakemake.params.batch_size,
            amp=snakemake.params.amp,
        )

"""Keeps what a detector sees in each test image: the probability of an artifact at every pixel."""

from pathlib import Path


def predict(weights: str, backbone: dict, test: str, maps: str, device: str, batch_size: int, amp: str | None) -> None:
    """See `detection.predict.probabilities` and `evaluation.maps.write_maps`."""
    from blemish.data.records import read_records
    from blemish.detection.predict import probabilities
    from blemish.detection.settings import Backbone
    from blemish.evaluation.maps import write_maps

    images = read_records(test, ["image"])
    found = probabilities(Path(weights), Backbone(**backbone), images, device=device, batch_size=batch_size, amp=amp)
    write_maps(Path(maps), found)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        predict(
            weights=snakemake.input.weights,
            backbone=snakemake.params.backbone,
            test=snakemake.input.test,
            maps=snakemake.output[0],
            device=snakemake.params.device,
            batch_size=snakemake.params.batch_size,
            amp=snakemake.params.amp,
        )

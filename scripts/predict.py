"""Keeps what a detector sees in each test image: the probability of an artifact at every pixel."""

from pathlib import Path


def predict(weights: str, backbone: dict, test: str, inference: dict, maps: str) -> None:
    """See `detection.predict.probabilities` and `evaluation.maps.write_maps`."""
    from blemish.data.records import read_records
    from blemish.detection.predict import probabilities
    from blemish.detection.settings import Backbone, Inference
    from blemish.evaluation.maps import write_maps

    images, how = read_records(test, ["image"]), Inference(**inference)
    write_maps(Path(maps), probabilities(Path(weights), Backbone(**backbone), images, how))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        predict(
            weights=snakemake.input.weights,
            backbone=snakemake.params.backbone,
            test=snakemake.input.test,
            inference=snakemake.params.inference,
            maps=snakemake.output[0],
        )

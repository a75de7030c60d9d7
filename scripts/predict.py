"""Keeps what a detector sees in each test image: the probability of an artifact at every pixel."""

from pathlib import Path


def predict(weights, test, maps, backbone, batch_size, device, amp):
    from blemish.data.records import read_records
    from blemish.detection.predict import probabilities
    from blemish.evaluation.maps import write_maps

    found = probabilities(weights, backbone, read_records(test), device=device, batch_size=batch_size, amp=amp)
    write_maps(Path(maps), found)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        predict(
            weights=snakemake.input.weights,
            test=snakemake.input.test,
            maps=snakemake.output[0],
            **{name: snakemake.params[name] for name in ("backbone", "batch_size", "device", "amp")},
        )

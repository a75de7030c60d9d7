"""Marks the artifact-prone regions of a shard's images: selector's probability at least tau (§4.2)."""


def select_regions(images, weights, regions, backbone, tau, batch_size, device, amp):
    from dataclasses import replace

    from blemish.data.records import read_records, write_records
    from blemish.detection.predict import probabilities

    columns = ("prompt", "source", "recipe", "seed")
    found = probabilities(weights, backbone, read_records(images), device=device, batch_size=batch_size, amp=amp)
    # ASSUME: selector.tau; the paper names no threshold
    write_records(
        regions,
        (
            replace(record, mask=probability >= tau)
            for record, (_, probability) in zip(read_records(images, columns), found, strict=True)
        ),
    )


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        select_regions(
            images=snakemake.input.images,
            weights=snakemake.input.weights,
            regions=snakemake.output[0],
            **{name: snakemake.params[name] for name in ("backbone", "tau", "batch_size", "device", "amp")},
        )

"""Evaluates a detector on the human-labelled test set; keeps what each image contributes (§4.4)."""


def evaluate(weights, test, metrics, per_image, backbone, threshold, batch_size, device, amp):
    import json

    import pandas as pd

    from blemish.data.files import atomic, write_text
    from blemish.data.records import read_records
    from blemish.detection.predict import probabilities
    from blemish.evaluation.measures import measure, summarise

    found = probabilities(weights, backbone, read_records(test), device=device, batch_size=batch_size, amp=amp)
    rows = pd.DataFrame(
        measure(record.id, probability, record.mask, threshold)
        for record, (_, probability) in zip(read_records(test, ["mask"]), found, strict=True)
    )
    summary = summarise(rows)
    with atomic(per_image) as temporary:
        rows.to_parquet(temporary, write_page_checksum=True)
    write_text(metrics, json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        evaluate(
            weights=snakemake.input.weights,
            test=snakemake.input.test,
            metrics=snakemake.output.metrics,
            per_image=snakemake.output.per_image,
            **{name: snakemake.params[name] for name in ("backbone", "threshold", "batch_size", "device", "amp")},
        )

"""Joins images and masks of one split of RichHF-18k; masks are brought to the images' size."""


def join_richhf(labels, images, out):
    from dataclasses import replace

    from blemish.records import read_records, write_records
    from blemish.sources.framing import stretch_mask

    masks = {record.id: record.mask for record in read_records(labels, ["mask"])}
    write_records(
        out,
        (
            replace(record, mask=stretch_mask(masks[record.id], *record.image.shape[:2]))
            for record in read_records(images)
        ),
    )


if __name__ == "__main__":
    from blemish import job

    with job.run(snakemake):
        join_richhf(snakemake.input.labels, snakemake.input.images, snakemake.output[0])

"""Images and their masks become one set (§4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from os import PathLike

from blemish.data.records import Record, read_records, write_records
from blemish.errors import UserError
from blemish.sources.framing import crop, stretch_mask


def join(images: str | PathLike, labels: str | PathLike, out: str | PathLike) -> None:
    """Writes images with their masks, both cropped to the square of the images' shorter side.

    A mask covers its whole image, whatever the image's proportions: it is brought to the image's size by nearest
    neighbour, then both lose the same columns or rows.

    Raises:
        UserError: an image has no mask.
    """
    masks = {record.id: record.mask for record in read_records(labels, ["mask"])}

    def joined() -> Iterator[Record]:
        for record in read_records(images):
            if record.id not in masks:
                raise UserError(
                    f"{labels} has no mask for the image {record.id} of {images}. Delete both and run again."
                )
            height, width = record.image.shape[:2]
            mask = stretch_mask(masks[record.id], height, width)
            size = min(height, width)
            yield replace(record, image=crop(record.image, size), mask=crop(mask, size))

    write_records(out, joined())

"""RichHF-18k's images, which the data set names but does not hold: from Parquet mirrors that do.

Two layouts are known: filename, image, caption (a mirror that joined them) and Pick-a-Pic's own, image_0_uid, jpg_0,
image_1_uid, jpg_1, caption. Only the columns and row groups that are needed are read.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq
from PIL import Image

from blemish.job import UserError
from blemish.records import Record, write_records
from blemish.sources import hub
from blemish.sources.framing import crop, scale

log = logging.getLogger(__name__)

JOINED = ("filename", "image", "caption")
PAIRS = (("image_0_uid", "jpg_0"), ("image_1_uid", "jpg_1"))


def fetch_images(ids: Sequence[str], split: str, source: Mapping, size: int, out: Path) -> None:
    """Writes the images of `ids` at `size` as records, in the order of `ids`' first appearance in the mirror.

    Raises:
        UserError: more than the share `missing_allowed` of the images is not there, or one cannot be read.
    """
    wanted = set(ids)
    found: set[str] = set()

    def records() -> Iterator[Record]:
        for name in hub.list_files(source, f"data/{split}-*.parquet"):
            for id_, content, prompt in _rows(source, name, wanted - found):
                found.add(id_)
                yield Record(
                    id=id_,
                    image=_decode(content, size, f"{source['repo']}/{name}: {id_}"),
                    mask=None,
                    prompt=prompt,
                    source=f"richhf:{split}/{id_}",
                )

    write_records(out, records())
    missing = sorted(wanted - found)
    if missing:
        log.warning("%d of %d images are missing: %s", len(missing), len(wanted), ", ".join(missing))
    if len(missing) > source["missing_allowed"] * len(wanted):
        raise UserError(
            f"{source['repo']} lacks {len(missing)} of the {len(wanted)} images of RichHF's {split} split, "
            f"{missing[0]} for one: give another mirror, or raise sources.richhf.images.missing_allowed."
        )


def _rows(source: Mapping, name: str, wanted: set[str]) -> Iterator[tuple[str, bytes, str]]:
    """(id, encoded image, prompt) of the wanted rows of one file."""
    with hub.open_file(source, name) as stream:
        file = pq.ParquetFile(stream)
        columns = file.schema_arrow.names
        if all(column in columns for column in JOINED):
            keys = [("filename", "image")]
        elif all(column in columns for pair in PAIRS for column in pair):
            keys = list(PAIRS)
        else:
            raise UserError(f"{source['repo']}/{name} has the columns {', '.join(columns)}: no known layout.")
        for group in range(file.num_row_groups):
            uids = file.read_row_group(group, columns=[uid for uid, _ in keys])
            if not any(PurePosixPath(u or "").stem in wanted for uid, _ in keys for u in uids[uid].to_pylist()):
                continue
            table = file.read_row_group(group, columns=[*(c for pair in keys for c in pair), "caption"])
            for row in table.to_pylist():
                for uid, image in keys:
                    id_ = PurePosixPath(row[uid] or "").stem
                    if id_ in wanted:
                        content = row[image]["bytes"] if isinstance(row[image], dict) else row[image]
                        yield id_, content, row["caption"] or ""


def _decode(content: bytes, size: int, where: str):
    try:
        with Image.open(io.BytesIO(content)) as image:
            return crop(scale(image, size), size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{where} is no image that can be read ({error}): fetch that file anew.") from None

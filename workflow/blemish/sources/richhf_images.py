"""RichHF-18k's images, which the data set names but does not hold: from Parquet mirrors that do.

Two layouts are known: filename, image, caption (a mirror that joined them) and Pick-a-Pic's own: image_0_uid,
jpg_0, image_1_uid, jpg_1, caption. Only the columns and row groups that are needed are read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from blemish.data.images import decode_rgb
from blemish.data.records import Record, clean, write_records
from blemish.errors import UserError
from blemish.sources import hub
from blemish.sources.framing import scale
from blemish.sources.settings import Images

# (column of the id or file name, column of the encoded image)
JOINED = [("filename", "image")]
PICK_A_PIC = [("image_0_uid", "jpg_0"), ("image_1_uid", "jpg_1")]
PROMPT = "caption"
NAMED = 20  # missing images that the log names
DEV = ("dev", "validation", "train")  # splits of a mirror that may hold RichHF's dev images; Pick-a-Pic's are in train

logger = logging.getLogger("blemish.images")


def fetch_images(ids: Sequence[str], split: str, source: Images, size: int, out: str | PathLike) -> None:
    """Writes the images of `ids` as records in the mirror's order, the shorter side scaled to `size`.

    They are cropped only when they are joined with their masks, which cover the whole image.

    Args:
        ids: the images wanted; a mirror's id is the stem of its file name, or the uid.
        split: the mirror's files are `data/{split}-*.parquet`; for "dev" those of the first of `DEV` that it has.
        source: the mirror, and the share of the images that it may lack.
        size: pixels.
        out: the shard to write.

    Raises:
        UserError: more than the share `missing_allowed` is missing or cannot be read.
    """
    wanted = set(ids)
    files = [f"data/{name}-*.parquet" for name in (DEV if split == "dev" else (split,))]

    pinned = hub.pin(source)

    def records() -> Iterator[Record]:
        for name in hub.list_files(pinned, *files):
            for id_, content, prompt in _rows(pinned, name, wanted):
                try:
                    pixels = scale(decode_rgb(content), size)
                except ValueError as error:
                    logger.warning("the image %s in %s cannot be read: %s", id_, name, error)
                    continue
                wanted.discard(id_)
                yield Record(id_, pixels, None, prompt, source=f"richhf:{split}/{id_}")
            if not wanted:
                return

    write_records(out, records())
    if wanted:
        first = sorted(wanted)[:NAMED]
        logger.warning("%d of %d images are missing: %s ...", len(wanted), len(ids), ", ".join(first))
    if len(wanted) > source.missing_allowed * len(ids):
        raise UserError(
            f"{source.repo} lacks {len(wanted)} of the {len(ids)} images of RichHF's {split} split, "
            f"such as {min(wanted)}: give another mirror, or raise sources.richhf.images.missing_allowed."
        )
    hub.record_commit(source, pinned.revision, out)


def _rows(source: Images, name: str, wanted: set[str]) -> Iterator[tuple[str, bytes, str]]:
    """(id, encoded image, prompt) of the wanted rows of one file, each id once; `wanted` shrinks meanwhile.

    An image is stored as its bytes or as `{bytes, path}`; it comes as b"" if it is neither.
    """
    try:
        # In this thread alone: threads of Arrow's that still hold the stream abort the process at its end.
        with hub.open_file(source, name) as stream, pq.ParquetFile(stream, pre_buffer=False) as file:
            columns = _layout(file, f"{source.repo}/{name}")
            for group in range(file.num_row_groups):
                uids = file.read_row_group(group, columns=[uid for uid, _ in columns], use_threads=False)
                for uid, image in columns:
                    rows: dict[str, int] = {}
                    for i, value in enumerate(uids[uid].to_pylist()):
                        id_ = PurePosixPath(str(value or "")).stem
                        if id_ in wanted:
                            rows.setdefault(id_, i)
                    if rows:
                        table = file.read_row_group(group, columns=[image, PROMPT], use_threads=False)
                        for id_, row in zip(rows, table.take([*rows.values()]).to_pylist(), strict=True):
                            content = row[image].get("bytes") if isinstance(row[image], dict) else row[image]
                            yield id_, content if isinstance(content, bytes) else b"", clean(row[PROMPT] or "")
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(
            f"{source.repo}/{name} is damaged or not a Parquet file ({error}): give another mirror."
        ) from error


def _layout(file: pq.ParquetFile, where: str) -> list[tuple[str, str]]:
    names = set(file.schema_arrow.names)
    for columns in (JOINED, PICK_A_PIC):
        if names.issuperset({PROMPT, *(name for pair in columns for name in pair)}):
            return columns
    raise UserError(
        f"{where} has the columns {', '.join(sorted(names))}: none of the known layouts. Give another mirror."
    )

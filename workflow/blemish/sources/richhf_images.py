"""RichHF-18k's images, which the data set names but does not hold: from Parquet mirrors that do.

Two layouts are known: filename, image, caption (a mirror that joined them) and Pick-a-Pic's own: image_0_uid,
jpg_0, image_1_uid, jpg_1, caption. Only the columns and row groups that are needed are read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from blemish.data.images import decode_rgb
from blemish.data.records import Record, clean, write_records
from blemish.errors import UserError
from blemish.sources import hub
from blemish.sources.fetch import local_path
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
        source: the mirrors, and the share of the images that one may lack.
        size: pixels.
        out: the shard to write.

    Raises:
        UserError: none of the mirrors can be read, or has all but the share `missing_allowed` of the images.
    """
    faults: list[str] = []
    for mirror in mirrors(source):
        try:
            _fetch_from(mirror, ids, split, size, out)
        except UserError as error:
            faults.append(str(error).rstrip("."))
            continue
        if faults:
            logger.warning("the images of %s come from %s, because %s", split, mirror.repo, "; ".join(faults))
        return
    raise UserError("; then ".join(faults) + ".")


def mirrors(source: Images) -> list[Images]:
    """The data sets that may give the images, in the order in which they are tried."""
    return [source, *(source.model_copy(update=mirror.model_dump()) for mirror in source.mirrors)]


def list_files(source: Images, split: str) -> list[str]:
    """Paths within a mirror of the files of a split; raises what `hub.list_files` raises."""
    return hub.list_files(source, *(f"data/{name}-*.parquet" for name in (DEV if split == "dev" else (split,))))


def _fetch_from(source: Images, ids: Sequence[str], split: str, size: int, out: str | PathLike) -> None:
    """`fetch_images` from `source.repo` alone."""
    wanted = set(ids)
    pinned = hub.pin(source)
    names = list_files(pinned, split)
    _require_little(pinned, names, set(ids))

    def records() -> Iterator[Record]:
        for name in names:
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
        first = sorted(wanted)[:NAMED]
        logger.warning("%d of %d images are missing: %s ...", len(wanted), len(ids), ", ".join(first))
        if len(wanted) > source.missing_allowed * len(ids):
            raise UserError(
                f"{source.repo} lacks {len(wanted)} of the {len(ids)} images of RichHF's {split} split, "
                f"such as {first[0]}: give another mirror, or raise sources.richhf.images.missing_allowed."
            )

    write_records(out, records())
    hub.record_commit(source, pinned.revision, out)


def _require_little(source: Images, names: Sequence[str], wanted: set[str]) -> None:
    """Refuses a data set of the hub of which too much would be read, by its columns of ids; `wanted` shrinks.

    Raises:
        UserError: it is more than `source.gigabytes_allowed`.
    """
    if source.gigabytes_allowed is None or local_path(source.repo) is not None:
        return
    needed = 0
    for name in names:
        with _opened(source, name) as (file, columns):
            for group, image, rows in _needed(file, columns, wanted):
                wanted -= rows.keys()
                chunks = map(file.metadata.row_group(group).column, range(file.metadata.num_columns))
                read = (image, PROMPT)
                needed += sum(c.total_compressed_size for c in chunks if c.path_in_schema.partition(".")[0] in read)
        if needed > source.gigabytes_allowed * 1e9:
            raise UserError(
                f"{source.repo} would be read over {source.gigabytes_allowed} GB of, because the images lie spread "
                "over its rows: give a mirror that joined them, or raise sources.richhf.images.gigabytes_allowed."
            )
        if not wanted:
            return


def _rows(source: Images, name: str, wanted: set[str]) -> Iterator[tuple[str, bytes, str]]:
    """(id, encoded image, prompt) of the wanted rows of one file, each id once; `wanted` shrinks meanwhile.

    An image is stored as its bytes or as `{bytes, path}`; it comes as b"" if it is neither.
    """
    with _opened(source, name) as (file, columns):
        for group, image, rows in _needed(file, columns, wanted):
            table = file.read_row_group(group, columns=[image, PROMPT], use_threads=False)
            for id_, row in zip(rows, table.take([*rows.values()]).to_pylist(), strict=True):
                content = row[image].get("bytes") if isinstance(row[image], dict) else row[image]
                yield id_, content if isinstance(content, bytes) else b"", clean(row[PROMPT] or "")


def _needed(
    file: pq.ParquetFile, columns: list[tuple[str, str]], wanted: set[str]
) -> Iterator[tuple[int, str, dict[str, int]]]:
    """(row group, column of images, id -> row) wherever a wanted id is; reads the columns of ids alone."""
    for group in range(file.num_row_groups):
        uids = file.read_row_group(group, columns=[uid for uid, _ in columns], use_threads=False)
        for uid, image in columns:
            rows: dict[str, int] = {}
            for i, value in enumerate(uids[uid].to_pylist()):
                id_ = PurePosixPath(str(value or "")).stem
                if id_ in wanted:
                    rows.setdefault(id_, i)
            if rows:
                yield group, image, rows


@contextmanager
def _opened(source: Images, name: str) -> Iterator[tuple[pq.ParquetFile, list[tuple[str, str]]]]:
    """A Parquet file of a mirror and its layout; what is wrong with it becomes one sentence."""
    try:
        # In this thread alone: threads of Arrow's that still hold the stream abort the process at its end.
        with hub.open_file(source, name) as stream, pq.ParquetFile(stream, pre_buffer=False) as file:
            yield file, _layout(file, f"{source.repo}/{name}")
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

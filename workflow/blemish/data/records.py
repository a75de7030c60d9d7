"""The interchange format of every set: Parquet, one row per image, images as Hugging Face's `Image`.

`datasets.load_dataset("parquet", data_files=...)` opens a shard as it is. All images and masks go through the
one lossless codec of this module, so that no detector can learn how a set was stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from blemish.data.files import atomic, explained
from blemish.data.images import decode, encode_png
from blemish.data.prefetch import in_order
from blemish.errors import UserError
from blemish.jobs.run import threads

Paths = str | PathLike | Sequence[str | PathLike]

ROWS_PER_GROUP = 64  # bounds the memory of a writer and of a reader
COMPRESSION = 3  # of PNG; 6 takes twice as long for 2 % less

_TEXT = (pa.string(), {"dtype": "string", "_type": "Value"})
_IMAGE = (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), {"_type": "Image"})
_SEED = (pa.int64(), {"dtype": "int64", "_type": "Value"})
_FIELDS = {
    "id": _TEXT,
    "image": _IMAGE,
    "mask": _IMAGE,
    "prompt": _TEXT,
    "source": _TEXT,
    "recipe": _TEXT,
    "seed": _SEED,
}


def schema(*names: str) -> pa.Schema:
    """The Parquet schema of some fields, with Hugging Face's description of them."""
    features = {name: _FIELDS[name][1] for name in names}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([(name, _FIELDS[name][0]) for name in names], metadata=about)


SCHEMA = schema(*_FIELDS)


@dataclass(frozen=True)
class Record:
    """One image of a set.

    Attributes:
        id: unique within its set.
        image: (h, w, 3) uint8 RGB, or None where a file holds masks only.
        mask: (h, w) bool, True = artifact, or None where there is none.
        prompt: the text the image was made from.
        source: where the image came from, e.g. "hps:data-000003.tar/abc".
        recipe: the corruption recipe, "" for an image that was not corrupted.
        seed: the seed of everything random in the record.
    """

    id: str
    image: np.ndarray | None
    mask: np.ndarray | None
    prompt: str = ""
    source: str = ""
    recipe: str = ""
    seed: int = 0


def write_records(path: str | PathLike, records: Iterable[Record]) -> int:
    """Writes records to one shard as they come and returns their number; errors are those of `write_shards`."""
    return write_shards([path], records)


def write_shards(paths: Sequence[str | PathLike], records: Iterable[Record]) -> int:
    """Deals records to shards in turn, as they come: record i goes to shard i modulo their number.

    The shards appear under their names only when they are whole. Images are encoded in the job's threads, which change
    no byte.

    Returns:
        The number of records written.

    Raises:
        UserError: two records of a shard have the same id.
        ValueError: an image or a mask has the wrong shape or type.
    """
    with ExitStack() as stack:
        shards = [stack.enter_context(_open_shard(Path(path))) for path in paths]
        rows = in_order(_encode, records, threads=threads())
        return sum(shards[i % len(shards)](row) for i, row in enumerate(rows))


def read_records(
    paths: Paths, columns: Sequence[str] | None = None, where: Callable[[str], bool] | None = None
) -> Iterator[Record]:
    """Yields the records of one or more shards in file order, a row group in memory at a time.

    Images are decoded in the job's threads, a few ahead of what is asked for where there are several.

    Args:
        paths: a shard, or several.
        columns: the fields to read; the others get their defaults (None for image and mask).
            `id` is always read.
        where: which ids to yield; all by default. Only the row groups that hold such are read.

    Raises:
        UserError: a shard is missing, damaged or not a Parquet file of records.
    """
    wanted = [name for name in SCHEMA.names if columns is None or name in columns or name == "id"]
    rows = ((path, row) for path, row in _rows(paths, wanted, where) if where is None or where(row["id"]))
    return in_order(_decode, rows, threads=threads())


def is_id(name: str) -> bool:
    """Whether a name from outside can be an image's id: safe as a file's name, in a shell, a page, a spreadsheet."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", name) is not None


def clean(text: object) -> str:
    """A prompt from outside as text that every file can hold: without halves of characters and control characters."""
    text = str(text).encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)


def read_ids(paths: Paths) -> list[str]:
    """Returns the ids of one or more shards in file order, without reading images.

    Raises:
        UserError: a shard is missing or not a Parquet file of records.
    """
    return [row["id"] for _, row in _rows(paths, ["id"])]


def read_encoded(paths: Paths, column: str) -> dict[str, bytes | None]:
    """The encoded images of a column ("image" or "mask") by their ids, in file order.

    Raises:
        UserError: a shard is missing, damaged or not a Parquet file of records.
    """
    return dict(encoded_rows(paths, column))


def encoded_rows(paths: Paths, column: str) -> Iterator[tuple[str, bytes | None]]:
    """Yields (id, encoded image) of a column as `read_encoded` gives them, a row group in memory at a time."""
    return ((row["id"], row[column] and row[column]["bytes"]) for _, row in _rows(paths, ["id", column]))


def join_masks(images: Paths, masks: Paths) -> Iterator[Record]:
    """Yields the records of `images` with the masks that `masks` holds for the same ids.

    The masks stay encoded in memory (some kB each); the images stream.

    Raises:
        UserError: an image has no mask, or a mask of another size than the image.
    """
    encoded = read_encoded(masks, "mask")
    for record in read_records(images, columns=[name for name in SCHEMA.names if name != "mask"]):
        if not encoded.get(record.id):
            raise UserError(f"{masks} has no mask for the image {record.id} of {images}: delete both and run again.")
        with explained(f"{masks}, mask {record.id},"):
            mask = decode_mask(encoded[record.id])
        if record.image is not None and mask.shape != record.image.shape[:2]:
            raise UserError(
                f"the mask of {record.id} in {masks} is {mask.shape} and its image in {images} is "
                f"{record.image.shape[:2]}: make both at one size."
            )
        yield replace(record, mask=mask)


def encode_image(image: np.ndarray) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as PNG.

    Raises:
        ValueError: another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"an image is (h, w, 3) uint8, this is {image.shape} {image.dtype}")
    return encode_png(image, compress_level=COMPRESSION)


def encode_mask(mask: np.ndarray) -> bytes:
    """Encodes (h, w) bool as a PNG of mode L: 255 = artifact, 0 = none.

    Raises:
        ValueError: another shape or type.
    """
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ValueError(f"a mask is (h, w) bool, this is {mask.shape} {mask.dtype}")
    return encode_png(mask.astype(np.uint8) * 255, compress_level=COMPRESSION)


def decode_image(content: bytes) -> np.ndarray:
    """Returns (h, w, 3) uint8 RGB; raises ValueError for anything else (`images.decode`)."""
    return np.array(decode(content).convert("RGB"))


def decode_mask(content: bytes) -> np.ndarray:
    """Returns (h, w) bool, True where the stored mask is above 127; raises ValueError as `decode_image` does."""
    return np.array(decode(content).convert("L")) > 127


def writer_of(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer that puts a checksum on every page; readers check it.

    Images are stored as they are, for `stored.Stored`: a PNG is compressed already.
    """
    images = [f"{name}.bytes" for name in schema.names if pa.types.is_struct(schema.field(name).type)]
    return pq.ParquetWriter(
        path,
        schema,
        write_page_checksum=True,
        compression={name: "none" if name in images else "snappy" for name in _leaves(schema)},
        use_dictionary=[name for name in _leaves(schema) if name not in images],
    )


def _leaves(schema: pa.Schema) -> list[str]:
    """The names of a schema's columns as Parquet has them: those of a structure are its fields'."""
    return [
        f"{field.name}.{child.name}" if pa.types.is_struct(field.type) else field.name
        for field in schema
        for child in (field.type if pa.types.is_struct(field.type) else [field])
    ]


@contextmanager
def _open_shard(path: Path) -> Iterator[Callable[[dict], int]]:
    """Yields a function that adds one record, encoded, to the shard and returns 1."""
    seen: set[str] = set()
    rows: list[dict] = []
    with atomic(path) as temporary, writer_of(temporary, SCHEMA) as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
            rows.clear()

        def add(row: dict) -> int:
            if row["id"] in seen:
                raise UserError(f"the id {row['id']} comes twice in what becomes {path}: ids must be unique.")
            seen.add(row["id"])
            rows.append(row)
            if len(rows) == ROWS_PER_GROUP:
                flush()
            return 1

        yield add
        if rows:
            flush()


def _encode(record: Record) -> dict:
    """The record as a row of the file; the encoder of PNG leaves the interpreter to other threads."""
    name = f"{record.id}.png"
    image = None if record.image is None else {"bytes": encode_image(record.image), "path": name}
    mask = None if record.mask is None else {"bytes": encode_mask(record.mask), "path": name}
    return {**vars(record), "image": image, "mask": mask}


def _decode(row_of: tuple[str | PathLike, dict]) -> Record:
    path, row = row_of
    with explained(f"{path}, image {row['id']},"):
        image = decode_image(row["image"]["bytes"]) if row.get("image") else None
        mask = decode_mask(row["mask"]["bytes"]) if row.get("mask") else None
    return Record(**row | {"image": image, "mask": mask})


def _rows(
    paths: Paths, columns: list[str], where: Callable[[str], bool] | None = None
) -> Iterator[tuple[str | PathLike, dict]]:
    """Every row of the row groups that hold a wanted id, with its shard; images stay encoded."""
    for path in [paths] if isinstance(paths, str | PathLike) else paths:
        with explained(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            if missing := {*columns} - {*file.schema_arrow.names}:
                raise UserError(
                    f"{path} is not a set of records: it has no column {', '.join(sorted(missing))}. Name another file."
                )
            groups = range(file.num_row_groups)
            if where is not None:
                groups = [i for i in groups if any(map(where, file.read_row_group(i, ["id"])["id"].to_pylist()))]
            for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, row_groups=groups, columns=columns):
                yield from ((path, row) for row in batch.to_pylist())


def join_records(paths: Sequence[Path], out: Path) -> None:
    """Writes the rows of several files of records as one, as they are encoded."""
    with atomic(out) as temporary, writer_of(temporary, pq.read_schema(paths[0])) as writer:
        for path in paths:
            with explained(path):
                table = pq.read_table(path, page_checksum_verification=True)
            writer.write_table(table)

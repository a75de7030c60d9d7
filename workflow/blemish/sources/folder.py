"""Images of your own: files of any size and mode, found in folders, named safely, framed like all others.

An image's prompt is the text file of its stem, if there is one. Its mask, where masks are given, is the image of the
same stem in another folder.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
from PIL import Image

from blemish.data import images
from blemish.data.files import atomic
from blemish.data.records import Record, write_records
from blemish.errors import UserError
from blemish.sources.framing import crop, scale, stretch_mask

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
LONGEST_NAME = 100  # characters of an id
LEDGER = ("file", "id", "width", "height", "refused")

logger = logging.getLogger("blemish.folder")


class Found(NamedTuple):
    """A file and the id of its record; `name` is its path below the folder that was given."""

    id: str
    path: Path
    name: str


def find(paths: Iterable[str | PathLike]) -> list[Found]:
    """All images that the paths name, each once: files as they are, of folders every file with an image's suffix.

    Ids are the files' stems as `safe_names` has them.

    Raises:
        UserError: a path does not exist, or none of the files is an image.
    """
    files: dict[Path, tuple[Path, str]] = {}
    given = [Path(path) for path in paths]
    for path in given:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file())
            for file in inside:
                name = file.relative_to(path)
                if not any(part.startswith(".") for part in name.parts):
                    files.setdefault(file.resolve(), (file, _text(name)))
        elif path.is_file():
            files.setdefault(path.resolve(), (path, _text(Path(path.name))))
        else:
            raise UserError(f"{path} is neither a file nor a folder: correct the path.")
    if not files:
        raise UserError(f"{', '.join(map(str, given))} is without images: put some there, as {', '.join(SUFFIXES)}.")
    ids = safe_names({path.as_posix(): path.stem for path, _ in files.values()})
    return [Found(id_, path, name) for id_, (path, name) in zip(ids, files.values(), strict=True)]


def _text(path: Path) -> str:
    """A path in UTF-8, as files hold it, whatever its bytes are."""
    return os.fsencode(path.as_posix()).decode(errors="replace")


def safe_names(wanted: Mapping[str, str]) -> list[str]:
    """Names that are safe as files' on any system, and differ even where case does not count.

    Args:
        wanted: something unique -> the name that each would have; where two names would be the same, both get
            a digest of the former.
    """
    names = [re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")[:LONGEST_NAME] or "image" for name in wanted.values()]
    common = Counter(name.casefold() for name in names)
    return [
        name if common[name.casefold()] == 1 else f"{name}-{_digest(text)[:8]}"
        for text, name in zip(wanted, names, strict=True)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def read(found: Found, size: int, mask: Path | None = None) -> tuple[Record, tuple[int, int]]:
    """One image as a record, size x size: the shorter side scaled, the longer one cropped at its centre.

    Args:
        found: the file; decoded by the rules of `blemish.data.images`.
        size: pixels.
        mask: an image of the same width and height; artifacts are white (above 127), or 1 where 1 is the highest.

    Returns:
        The record, and width and height of the original.

    Raises:
        UserError: a file is not an image that can be read, or the mask has another size.
    """
    image = _decode(found.path, images.decode_rgb)
    pixels = scale(image, size)
    marked = None
    if mask is not None:
        drawn = _artifacts(mask)
        height, width = drawn.shape
        if (width, height) != image.size:
            raise UserError(
                f"the mask {mask} is {width}x{height} and its image {found.path} is "
                f"{image.width}x{image.height}: give masks of their images' size."
            )
        marked = crop(stretch_mask(drawn, *pixels.shape[:2]), size)
    text = found.path.with_suffix(".txt")
    prompt = text.read_text(errors="replace").strip() if text.is_file() else ""
    return Record(found.id, crop(pixels, size), marked, prompt, source=f"file:{found.name}"), image.size


def _decode(path: Path, decode: Callable[[bytes], Image.Image]) -> Image.Image:
    try:
        return decode(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: {error}; leave it out.") from error


def _artifacts(path: Path) -> np.ndarray:
    """(h, w) bool from a mask: black and white in any mode, or class labels 0 and 1."""
    labels = np.asarray(_decode(path, images.decode))
    if labels.ndim == 2 and labels.max() <= 1:
        return labels > 0
    return np.asarray(_decode(path, images.decode_rgb).convert("L")) > 127


def match_masks(images: Iterable[Found], folder: str | PathLike) -> dict[str, Path]:
    """The mask of each image by its id: the image in `folder` at the same place, or else of the same stem.

    Raises:
        UserError: an image has none, or several.
    """
    masks = find([folder])
    placed = {PurePath(mask.name).with_suffix("").as_posix(): mask.path for mask in masks}
    stems: dict[str, list[Path]] = {}
    for mask in masks:
        stems.setdefault(mask.path.stem, []).append(mask.path)
    matched = {}
    for image in images:
        place = placed.get(PurePath(image.name).with_suffix("").as_posix())
        same = [place] if place else stems.get(image.path.stem, [])
        if len(same) != 1:
            several = f"{len(same)} masks of the stem" if same else "no mask of the stem"
            raise UserError(f"{folder} holds {several} {image.path.stem} for the image {image.path}: give it one.")
        matched[image.id] = same[0]
    return matched


def frame_part(folder: str | PathLike, part: int, parts: int, size: int, out: str | PathLike, ledger: str) -> None:
    """Writes every `parts`-th image of a folder as a record; what can't be read is left out.

    Args:
        folder: images, in any depth.
        part: which of the parts, from 0.
        parts: into how many the folder is dealt, in the order of the names.
        size: pixels.
        out: the shard to write.
        ledger: CSV to write, a row per file: `LEDGER`; why it was refused, or nothing.

    Raises:
        UserError: the folder is missing, or without images.
    """
    rows: list[Mapping] = []

    def records() -> Iterator[Record]:
        for found in find([folder])[part::parts]:
            row = {"file": found.name, "id": found.id}
            try:
                record, (row["width"], row["height"]) = read(found, size)
            except UserError as error:
                logger.warning("%s", error)
                rows.append({**row, "refused": str(error)})
            else:
                rows.append(row)
                yield record

    write_records(out, records())
    with atomic(ledger) as temporary, open(temporary, "w", newline="") as file:
        table = csv.DictWriter(file, LEDGER, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def listings(pools: Mapping[str, Mapping]) -> dict[str, str]:
    """Of each pool a digest of its images' and prompts' names, sizes and times: another one when any of them changes.

    Args:
        pools: name -> `images`, a folder.

    Raises:
        UserError: the folder is missing, or without images.
    """
    found = {}
    for pool, source in pools.items():
        try:
            images = find([source["images"]])
        except UserError as error:
            raise UserError(f"pools.{pool}.images: {error}") from None
        lines = []
        for image in images:
            for path in filter(Path.is_file, (image.path, image.path.with_suffix(".txt"))):
                status = path.stat()
                lines.append(f"{image.name} {path.suffix} {status.st_size} {status.st_mtime_ns}")
        found[pool] = _digest("\n".join(lines))[:16]
    return found

"""Going through a shard in batches: parts that are kept until the shard is whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from blemish.data.records import read_ids
from blemish.errors import UserError

log = logging.getLogger(__name__)

T = TypeVar("T")


def batches(items: Iterator[T], done: int, size: int) -> Iterator[tuple[int, list[T]]]:
    """The items behind the first `done` in batches, each with the position of its first item."""
    items = islice(items, done, None)
    while batch := list(islice(items, size)):
        yield done, batch
        done += len(batch)


def part_file(folder: Path, first: int, suffix: str) -> Path:
    """The file of the batch that begins at position `first`."""
    return folder / f"{first:09d}{suffix}"


def finished(folder: Path, suffix: str, count: Callable[[Path], int]) -> int:
    """The number of images that an earlier attempt finished without a gap; files behind a gap are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    for part in sorted(folder.glob(f"*{suffix}")):
        if part == part_file(folder, done, suffix):
            done += count(part)
        else:
            part.unlink()
    return done


def whole(folder: Path, suffix: str, count: Callable[[Path], int], images: int) -> list[Path]:
    """The parts of a shard that is through, in its order.

    Raises:
        UserError: they are not all of its images.
    """
    parts = sorted(folder.glob(f"*{suffix}"))
    found = sum(map(count, parts))
    if found != images:
        raise UserError(f"{folder} holds {found} of {images} images: another job worked there; start again.")
    return parts


def image_ids(images: Path) -> list[str]:
    """The ids of a shard's images, in order.

    Raises:
        UserError: there are none.
    """
    ids = read_ids(images)
    if not ids:
        raise UserError(f"{images} holds no images: cut the set into fewer shards.")
    return ids

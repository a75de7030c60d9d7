"""Going through a shard in batches: parts that are kept until the shard is whole, progress, digests."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
from tqdm import tqdm

from blemish.diffusion import Counting
from blemish.job import UserError, atomic
from blemish.readers import explained
from blemish.records import writer_of

log = logging.getLogger(__name__)

T = TypeVar("T")


class Progress(tqdm):
    """A bar over a shard's images, with images per second and the time left; its end goes to the log."""

    def __init__(self, title: str, images: int, done: int, denoiser: Counting):
        super().__init__(desc=title, total=images, initial=done, unit="image", mininterval=10)
        self._denoiser = denoiser

    def close(self) -> None:
        if not self.disable:
            rate = (self.n - self.initial) / max(self.format_dict["elapsed"], 1e-9)
            log.info(
                "%s: %d images (%d were there), %.2f images/s, %d UNet sample evaluations",
                *(self.desc, self.n, self.initial, rate, self._denoiser.samples),
            )
        super().close()


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


def digest(*parts) -> str:
    """sha256 of anything that JSON holds; the order of keys does not count."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def join_records(paths: Sequence[Path], out: Path) -> None:
    """Writes the rows of several files of records as one, as they are encoded."""
    with atomic(out) as temporary, writer_of(temporary, pq.read_schema(paths[0])) as writer:
        for path in paths:
            with explained(path):
                table = pq.read_table(path, page_checksum_verification=True)
            writer.write_table(table)

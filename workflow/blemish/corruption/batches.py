"""Going through a shard in batches, each kept in a file of its own until the shard is whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from blemish.data.prefetch import ahead, behind
from blemish.data.records import Record, read_ids
from blemish.errors import UserError
from blemish.jobs.progress import Progress
from blemish.jobs.run import state, threads

Process = Callable[[list[Record], slice], Callable[[Path], None]]
"""Works on a batch, given its records and rows; returns the function that writes the outcome to a file."""


@contextmanager
def in_batches(
    records: Iterator[Record],
    images: int,
    size: int,
    process: Process,
    out: Path,
    identity: str,
    evaluations: Callable[[], int] = lambda: 0,
) -> Iterator[list[Path]]:
    """Yields the files of all batches of a shard, to be joined; removes them after the block.

    What an earlier attempt finished is not made again. While a batch is worked on, the next one is read and those
    before it are written.

    Args:
        records: the shard, from its beginning.
        images: their number.
        size: images of a batch.
        out: the file that the batches' files become; these lie in a folder beside it and have its suffix. The
            progress bar has its name.
        identity: a digest of everything that the outcome follows from.
        evaluations: the UNet sample evaluations spent so far, for the log.

    Raises:
        UserError: files are missing at the end.
    """
    folder = state(out) / identity
    done = _finished(folder, out.suffix)
    writers = min(2, threads())  # each encodes in all of the job's threads; two, so that none idles at a batch's end
    with Progress(out.name, images, done, evaluations) as progress, behind(writers) as submit:
        for rows, batch in ahead(_batches(records, done, size)):
            submit(process(batch, rows), _file(folder, rows, out.suffix))
            progress.update(len(batch))
    if _finished(folder, out.suffix) != images:
        raise UserError(f"{folder} lacks a part of {out}: another job worked there. Run again.")
    yield sorted(folder.glob(f"*-*{out.suffix}"))
    shutil.rmtree(state(out))


def _batches(records: Iterator[Record], done: int, size: int) -> Iterator[tuple[slice, list[Record]]]:
    """The records behind the first `done` in batches, each with its rows."""
    records = islice(records, done, None)
    while batch := list(islice(records, size)):
        yield slice(done, done + len(batch)), batch
        done += len(batch)


def _file(folder: Path, rows: slice, suffix: str) -> Path:
    return folder / f"{rows.start:09d}-{rows.stop:09d}{suffix}"


def _finished(folder: Path, suffix: str) -> int:
    """The number of images that are done without a gap; files behind a gap are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    for file in sorted(folder.glob(f"*-*{suffix}")):
        start, stop = map(int, file.stem.split("-"))
        if start == done:
            done = stop
        else:
            file.unlink()
    return done


def image_ids(images: Path) -> list[str]:
    """The ids of a shard's images, in order.

    Raises:
        UserError: there are none.
    """
    ids = read_ids(images)
    if not ids:
        raise UserError(f"{images} holds no images. Cut the set into fewer shards.")
    return ids

"""Encoded images read where they lie in Parquet files, one at a time, so that a set costs no memory of its size."""

from __future__ import annotations

import logging
import mmap
import os
from array import array
from collections.abc import Sequence
from os import PathLike

from blemish.data.files import explained
from blemish.data.records import encoded_rows

log = logging.getLogger(__name__)


class Stored:
    """The encoded images of one column ("image" or "mask") of records files, by their position in file order.

    Each value's place in its file is found once, by its own bytes, while the files are read and their checksums
    compared. Values that a file holds in compressed pages, as other writers make them, stay in memory.

    Attributes:
        ids: of the images, in file order.

    Raises:
        UserError: a shard is missing, damaged or not a Parquet file of records.
    """

    def __init__(self, paths: Sequence[str | PathLike], column: str):
        self.ids: list[str] = []
        self._file, self._start, self._length = array("H"), array("q"), array("q")
        self._descriptors: list[int] = []
        self._kept: dict[int, bytes] = {}
        for number, path in enumerate(paths):
            with explained(path):
                descriptor = os.open(path, os.O_RDONLY)
                self._descriptors.append(descriptor)
                content = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
            with content:
                place = 0
                for name, value in encoded_rows(path, column):
                    start = content.find(value, place) if value else 0
                    if start < 0:
                        self._kept[len(self.ids)] = value
                    elif value:
                        place = start + len(value)
                    self.ids.append(name)
                    self._file.append(number)
                    self._start.append(start)
                    self._length.append(len(value or b""))
        if self._kept:
            log.info(
                "%d of %d images of %s are compressed within it and stay in memory",
                len(self._kept),
                len(self),
                paths[0],
            )

    def __len__(self) -> int:
        return len(self.ids)

    def holds(self, index: int) -> bool:
        """Whether the row has an image; reads nothing."""
        return self._length[index] > 0

    def __getitem__(self, index: int) -> bytes:
        """The encoded image; b"" where the row has none. Safe in forked processes: it moves no file's position."""
        if index in self._kept:
            return self._kept[index]
        return os.pread(self._descriptors[self._file[index]], self._length[index], self._start[index])

    def __del__(self):
        for descriptor in self._descriptors:
            os.close(descriptor)

"""Samples of a WebDataset tar, read as a stream: nothing is unpacked to disk, no member is trusted."""

from __future__ import annotations

import json
import logging
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from tqdm import tqdm

from blemish.errors import UserError

IMAGES = (".jpg", ".jpeg", ".png")
LARGEST = 64 * 2**20  # bytes of a member that is read
APART = 64  # samples whose image or JSON is still to come; a WebDataset writes both one after the other
REQUEST = 16 * 2**20  # bytes asked for at a time
PADDING = 2**20  # bytes that may follow the last member; tars are padded with zeros
NAMED = 10  # skipped members that are named, for each reason

logger = logging.getLogger("blemish.webdataset")


class Sample(NamedTuple):
    """An image and its description, as they stand in the tar."""

    key: str
    member: str
    content: bytes
    about: dict


class Skipped:
    """Counts what is left out of a tar, and names the first few."""

    def __init__(self, tar: str):
        self.tar = tar
        self.counts: Counter[str] = Counter()

    def add(self, name: str, reason: str, detail: str = "") -> None:
        self.counts[reason] += 1
        if self.counts[reason] <= NAMED:
            logger.warning("%s: %r is left out: %s%s", self.tar, name, reason, f" ({detail})" if detail else "")


def read_samples(stream: BinaryIO, skipped: Skipped) -> Iterator[Sample]:
    """Yields the samples `<key>.json` + `<key>.jpg|jpeg|png` of a tar in its order.

    Left out are members that are links, devices, absolute or lead upwards, or whose names cannot be printed;
    members that come twice; and samples without a readable JSON or without an image.

    Raises:
        UserError: the tar is damaged or cut off.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    waiting: dict[str, dict[str, bytes]] = {}
    done: set[str] = set()
    try:
        with (
            tqdm.wrapattr(stream, "read", total=size, desc=skipped.tar, mininterval=1) as watched,
            tarfile.open(fileobj=watched, mode="r|", bufsize=REQUEST) as archive,
        ):
            for member in archive:
                path = PurePosixPath(member.name)
                key, suffix = path.with_suffix("").as_posix(), path.suffix.lower()
                fault = _fault(member)
                if fault:
                    skipped.add(member.name, fault)
                elif member.isdir() or suffix not in (*IMAGES, ".json"):
                    continue
                elif key in done or suffix in waiting.get(key, {}):
                    skipped.add(member.name, "it comes twice")
                else:
                    parts = waiting.setdefault(key, {})
                    parts[suffix] = archive.extractfile(member).read()
                    if ".json" in parts and len(parts) > 1:
                        done.add(key)
                        yield from _sample(key, waiting.pop(key), skipped)
                    elif len(waiting) > APART:
                        _give_up(waiting, next(iter(waiting)), skipped)
            end = archive.offset
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:  # headers of nonsense
        raise UserError(f"{skipped.tar} is damaged or cut off ({error}): fetch it again.") from error
    if size - end > PADDING:
        raise UserError(f"{skipped.tar} is damaged at byte {end:,} of {size:,}: fetch it again.")
    for key in list(waiting):
        _give_up(waiting, key, skipped)


def _fault(member: tarfile.TarInfo) -> str | None:
    path = PurePosixPath(member.name)
    if not member.name.isprintable():
        return "its name holds control characters, or is not UTF-8"
    if not member.isfile() and not member.isdir():
        return "it is a link or a device"
    if path.is_absolute() or ".." in path.parts:
        return "its path leads out"
    return "it is too large" if member.size > LARGEST else None


def _sample(key: str, parts: dict[str, bytes], skipped: Skipped) -> Iterator[Sample]:
    try:
        about = json.loads(parts.pop(".json"))
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, brackets without end
        about = None
    if isinstance(about, dict):
        suffix, content = next(iter(parts.items()))
        yield Sample(key, key + suffix, content, about)
    else:
        skipped.add(key, "its JSON cannot be read")


def _give_up(waiting: dict[str, dict[str, bytes]], key: str, skipped: Skipped) -> None:
    parts = waiting.pop(key)
    skipped.add(key, "its image is missing" if ".json" in parts else "its JSON is missing")

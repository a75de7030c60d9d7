"""Exclusive leases on named things of one machine, held by the kernel while a job or a child of it lives.

One file, one byte range of it per name, one open-file-description lock (`F_OFD_SETLK`, see fcntl(2)) per lease. Such a
lock belongs to the open file, not to a process: whoever inherits the descriptor holds the lease, and the kernel frees
it when the last of them is gone, however it died. Range locks rather than a `flock` per name, because then one
descriptor carries a lease on several names, and can be handed on as standard input: the one descriptor which every
child inherits, whatever starts it (`subprocess`, `multiprocessing`, torchrun).

The file's text says who took what. It is for people: only the locks decide.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import logging
import os
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)
FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def hold(path: Path, names: Sequence[str], count: int, description: str) -> Iterator[list[str]]:
    """Holds `count` of the `names`, all or none, for the block and every process started in it.

    Waits while fewer are free. A job that looks for free names is not overtaken by later ones over the same names: they
    queue behind it, so that a job of eight is not starved by a stream of jobs of one.

    Args:
        path: the file with the locks, on a local disk; made if it is missing, for every user of the machine.
        names: what may be taken, the first free ones are.
        count: how many, from 1 to `len(names)`.
        description: what the holder is doing, for `holders`.

    Yields:
        The names held, in the order of `names`.
    """
    former, descriptor = os.dup(0), _open(path)
    try:
        held = _take(descriptor, names, count, description)
        os.dup2(descriptor, 0)
        yield held
    finally:
        os.dup2(former, 0)
        os.close(former)
        os.close(descriptor)


def holders(path: Path) -> list[tuple[str, int, str]]:
    """(name, process id of the job that took it, its description) for each name that is held now."""
    try:
        descriptor = os.open(path, FLAGS)
    except FileNotFoundError:
        return []
    try:
        _lock(descriptor, "mutex", wait=True)
        return [(n, pid, text) for n, (pid, text) in _notes(descriptor).items() if _is_held(descriptor, n)]
    finally:
        os.close(descriptor)


def _take(descriptor: int, names: Sequence[str], count: int, description: str) -> list[str]:
    turn = "turn " + " ".join(sorted(names))
    if not _lock(descriptor, turn):
        log.info("waiting for %d of %d GPUs, behind another job that waits", count, len(names))
        _lock(descriptor, turn, wait=True)
    pause = 0.01
    while not (held := _take_at_once(descriptor, names, count, description)):
        if pause == 0.01:
            busy = "; ".join(f"{n} by process {pid} ({text})" for n, (pid, text) in _notes(descriptor).items())
            log.info("waiting for %d of %d GPUs; last taken: %s", count, len(names), busy)
        time.sleep(pause)
        pause = min(2 * pause, 1.0)
    _unlock(descriptor, turn)
    return held


def _take_at_once(descriptor: int, names: Sequence[str], count: int, description: str) -> list[str]:
    # The mutex keeps two jobs with overlapping names from each holding what the other lacks, and notes whole.
    _lock(descriptor, "mutex", wait=True)
    try:
        held = list(itertools.islice((name for name in names if _lock(descriptor, name)), count))
        if len(held) < count:
            for name in held:
                _unlock(descriptor, name)
            return []
        notes = {name: note for name, note in _notes(descriptor).items() if _is_held(descriptor, name)}
        text = json.dumps(notes | {name: (os.getpid(), description) for name in held}).encode()
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))
        return held
    finally:
        _unlock(descriptor, "mutex")


def _notes(descriptor: int) -> dict[str, tuple[int, str]]:
    try:
        return json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
    except ValueError:  # empty, or its writer was killed half-way
        return {}


def _open(path: Path) -> int:
    # No O_CREAT on what exists: in a sticky folder the kernel refuses that for another user's file.
    with suppress(FileNotFoundError):
        return os.open(path, FLAGS)
    mask = os.umask(0)
    try:
        return os.open(path, FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return os.open(path, FLAGS)
    finally:
        os.umask(mask)


def _control(descriptor: int, command: int, kind: int, name: str) -> int:
    """fcntl(2) of a lock on the byte of `name`, far behind the end of the text; returns the kind it answers with."""
    start = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "big")
    answer = fcntl.fcntl(descriptor, command, struct.pack("hhqqi0q", kind, os.SEEK_SET, start, 1, 0))
    return struct.unpack_from("h", answer)[0]


def _lock(descriptor: int, name: str, wait: bool = False) -> bool:
    try:
        _control(descriptor, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, fcntl.F_WRLCK, name)
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int, name: str) -> None:
    _control(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, name)


def _is_held(descriptor: int, name: str) -> bool:
    return _control(descriptor, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, name) != fcntl.F_UNLCK

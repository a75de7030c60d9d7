"""Lets a run start where the one before was killed: Snakemake's lock outlives its process, and jobs outlive Snakemake.

The Snakefile imports this module.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("snakemake")
_held = []  # open as long as this process lives


def forget_stale(folder: str | Path) -> bool:
    """Removes the locks of a Snakemake that was killed, and holds a lock of our own while this process lives.

    They are stale if no process holds our lock and the last one that did was on this machine: a file system shared
    by several machines need not tell one of the other's locks.

    Args:
        folder: Snakemake's own, `.snakemake` in the working directory.

    Returns:
        Whether there were stale locks.
    """
    try:
        Path(folder).mkdir(exist_ok=True)
        file = open(Path(folder, "blemish.lock"), "a+")  # noqa: SIM115
    except OSError:  # of which Snakemake complains itself
        return False
    _held.append(file)
    here, alone = socket.gethostname(), False
    with suppress(OSError):  # another run works, or this file system has no locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.seek(0)
        alone = file.read() == here
    stale = sorted(Path(folder, "locks").glob("*.lock")) if alone else []
    for lock in stale:
        lock.unlink(missing_ok=True)
    if stale:
        log.warning("The last run in this folder was killed: its lock is removed, and this run goes on.")
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(here)
        file.flush()
    return bool(stale)


def is_running(folder: str | Path) -> bool:
    """Whether a run is at work that holds the lock of `forget_stale`; False where the file system has no locks."""
    try:
        with open(Path(folder, "blemish.lock")) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@contextmanager
def alone(path: str | os.PathLike, waiting: Callable[[], None]) -> Iterator[None]:
    """One process at a time is in the block; the others wait for it, and for nobody that was killed there.

    Where the file system has no locks, there is no waiting.

    Args:
        path: a file to lock, that is there as long as somebody works or was killed working.
        waiting: called before the waiting, if there is any.
    """
    while True:
        file = open(path, "a")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                break  # else the one before removed it
        file.close()
    try:
        yield
    finally:
        Path(path).unlink(missing_ok=True)
        file.close()

"""One verified file over HTTP; two jobs that want the same file take turns, a wrong file is set aside."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from blemish.job import UserError
from blemish.sources import transfer

logger = logging.getLogger("blemish.download")


def download(url: str, destination: Path, verify: Callable[[Path], None]) -> None:
    """Downloads `url` to `destination`, which appears whole and verified, or not at all.

    What has come so far lies beside it as `.<name>.part`; the next call goes on from there.

    Args:
        url: http or https; proxies and certificates are taken from the environment.
        destination: the file to make.
        verify: raises ValueError, saying what is wrong, for a file that is not the expected one. Such a file
            is renamed to `<name>.refused`.

    Raises:
        UserError: the server refuses or keeps failing, the file is not the expected one, the disk is full.
    """
    part = destination.with_name(f".{destination.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with _exclusively(part.with_suffix(".lock")) as waited:
        if waited and destination.exists():
            return
        continued = part.exists()
        transfer.fetch(url, part)
        if continued and _fault(part, verify):  # its beginning may be of another version: once more from the start
            part.unlink()
            transfer.fetch(url, part)
        if fault := _fault(part, verify):
            refused = destination.with_name(f"{destination.name}.refused")
            os.replace(part, refused)
            raise UserError(
                f"what {url} sent is not the file that the config names: {fault}; it lies at {refused} and is "
                "not used; name another mirror, or correct the size and hash in the config."
            )
        os.replace(part, destination)


def _fault(path: Path, verify: Callable[[Path], None]) -> str | None:
    try:
        verify(path)
    except ValueError as error:
        return str(error)
    return None


@contextmanager
def _exclusively(path: Path) -> Iterator[bool]:
    """Holds a lock that ends with the process, however it ends; yields whether another process had it."""
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            waited = False
        except BlockingIOError:
            logger.info("another job fetches %s: waiting for it", path.stem)
            fcntl.flock(lock, fcntl.LOCK_EX)
            waited = True
        yield waited

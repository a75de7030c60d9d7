"""One verified file over HTTP: interrupted transfers continue, passing faults are waited out.

Two jobs that want the same file take turns; a wrong file is set aside.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import requests
import urllib3
from tqdm import tqdm

from blemish.errors import UserError

ATTEMPTS = 8  # in a row without a byte gained
LONGEST_WAIT = 600  # seconds; a server may ask for more, a person would rather know
TIMEOUT = (20, 60)  # seconds to connect, and between two packets
CHUNK = 1 << 20

WHAT_TO_DO = {
    401: "it wants a login: get access there, or name another mirror in the config",
    403: "it forbids the download: accept its licence there, or name another mirror in the config",
    404: "the file is missing there: correct the address in the config, or name another mirror",
    410: "the file is gone for good: name another mirror in the config",
}

logger = logging.getLogger("blemish.download")


class _MayPass(Exception):
    """A fault that may pass; `wait` is the number of seconds that the server asks for, if it does."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


def public(text: object) -> str:
    """A text without what may be secret in its addresses: user and password, and what follows a `?`."""
    return re.sub(r"(?<=://)[^/\s@]+@|(?<=[\w/.%~-])\?[^\s'\")>]+", "", str(text))


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
    with open(part.with_suffix(".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however it ends
        except BlockingIOError:
            logger.info("another job fetches %s: waiting for it", destination.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if destination.exists():
                return
        continued = part.exists()
        _fetch(url, part)
        if continued and _fault(part, verify):  # its beginning may be of another version: once more from the start
            part.unlink()
            _fetch(url, part)
        if fault := _fault(part, verify):
            refused = destination.with_name(f"{destination.name}.refused")
            os.replace(part, refused)
            raise UserError(
                f"what {public(url)} sent is not the file that the config names: {fault}; it lies at {refused} and is "
                "not used; name another mirror, or correct the size and hash in the config."
            )
        os.replace(part, destination)


def _fault(path: Path, verify: Callable[[Path], None]) -> str | None:
    try:
        verify(path)
    except ValueError as error:
        return str(error)
    return None


def _fetch(url: str, part: Path) -> None:
    """Requests what is missing of `part`, again and again until the file is whole.

    Raises:
        UserError: the server refuses, fails `ATTEMPTS` times without a byte gained, or the disk is full.
    """
    with requests.Session() as session, open(part, "ab") as file:
        failures, furthest, version = 0, 0, None
        while True:
            try:
                response = _request(session, url, file, version)
                if response is None:
                    return
                version = response.headers.get("ETag")
                _receive(response, file)
                return
            except requests.exceptions.SSLError as error:
                raise UserError(
                    f"the certificate of {public(url)} is not trusted ({public(error)}): install it, or name another "
                    "mirror."
                ) from error
            except (_MayPass, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                if isinstance(error, ValueError):  # how requests marks an address that cannot be right
                    raise UserError(
                        f"{public(url)} is not an address to download from ({public(error)}): correct it in the config."
                    ) from error
                failures = 1 if file.tell() > furthest else failures + 1
                furthest = max(furthest, file.tell())
                _wait(url, error, failures, file.tell())
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise UserError(
                    f"the disk of {part.parent} is full: free space there and start again; what came is kept."
                ) from error


def _request(session: requests.Session, url: str, file: BinaryIO, version: str | None) -> requests.Response | None:
    """Asks for what is missing of the file, cut back to where the answer goes on; None if nothing is missing."""
    headers = {"Accept-Encoding": "identity"}
    have = file.tell()
    if have:
        headers["Range"] = f"bytes={have}-"
        if version and not version.startswith("W/"):
            headers["If-Range"] = version
    response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    status = response.status_code
    if status == 416 and _total(response) == have:
        return None
    if status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return response
    if have and status in (200, 206, 416):
        file.truncate(0)
        file.seek(0)
    if status == 200:
        return response
    if status in (206, 408, 416, 425, 429) or status >= 500:
        try:
            wait = urllib3.Retry().get_retry_after(response.raw)
        except urllib3.exceptions.InvalidHeader:
            wait = None
        raise _MayPass(f"it answered {status} {response.reason}", wait)
    what = WHAT_TO_DO.get(status, "correct the address in the config, or name another mirror")
    raise UserError(f"{public(url)} answered {status}: {what}.")


def _receive(response: requests.Response, file: BinaryIO) -> None:
    have, total = file.tell(), _total(response)
    if total is not None and total - have > shutil.disk_usage(Path(file.name).parent).free:
        raise OSError(errno.ENOSPC, f"{total - have:,} bytes are to come")
    name = public(response.url).rpartition("/")[2]
    with response, tqdm(desc=name, total=total, initial=have, unit="B", unit_scale=True, mininterval=1) as bar:
        while chunk := response.raw.read1(CHUNK):  # iter_content would drop what came of a chunk that broke off
            file.write(chunk)
            bar.update(len(chunk))
    file.flush()
    if total is not None and file.tell() < total:
        raise _MayPass(f"it broke off after {file.tell():,} of {total:,} bytes")


def _wait(url: str, error: Exception, failures: int, have: int) -> None:
    """Waits as long as the server asks, or 1, 2, 4, ... 60 seconds; gives up after `ATTEMPTS` failures."""
    seconds = min(60, 2 ** (failures - 1))
    if isinstance(error, _MayPass) and error.wait is not None:
        seconds = error.wait
    if failures == ATTEMPTS or seconds > LONGEST_WAIT:
        raise UserError(
            f"{public(url)} failed {failures} times in a row ({public(error)}) and {have:,} bytes are here: start "
            "again when the network or the server is back; what has come is kept."
        ) from error
    logger.warning("%s: %s; attempt %d of %d in %.0f s", public(url), public(error), failures + 1, ATTEMPTS, seconds)
    time.sleep(seconds)


def _total(response: requests.Response) -> int | None:
    """The size of the whole file, as the server states it."""
    match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    if match:
        return int(match[1])
    length = response.headers.get("Content-Length", "")
    return int(length) if response.status_code == 200 and length.isdigit() else None

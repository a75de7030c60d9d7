"""Downloads over HTTP that resume, retry and are verified before they are used."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import requests
from tqdm import tqdm

from blemish.job import UserError

ATTEMPTS = 6
PATIENCE = 60  # seconds at most between attempts
TIMEOUT = (15, 60)  # seconds to connect, seconds without a byte
CHUNK = 2**20
PASSING = (408, 425, 429, 500, 502, 503, 504)
ADVICE = {
    401: "the server wants a login: set HF_TOKEN, or accept the data set's terms on its page",
    403: "the server refuses: accept the licence on its page, and set HF_TOKEN",
    404: "there is no such file: give another mirror in the config",
    410: "the file is gone: give another mirror in the config",
}


def download(url: str, destination: Path, verify: Callable[[Path], None]) -> None:
    """Brings `url` to `destination`, going on from what an earlier attempt or job left.

    Only one job fetches a destination at a time: another one waits.

    Args:
        verify: raises a `UserError` for a file that is not the expected one; it is then kept apart as `*.refused`.

    Raises:
        UserError: the file is not to be had; the sentence says what to do.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(f"{destination.name}.part")
    with open(destination.with_name(f".{destination.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for attempt in range(ATTEMPTS):
            try:
                if _continue(url, part):
                    break
                wait = 0.0
            except requests.HTTPError as error:
                status = error.response.status_code
                if status not in PASSING:
                    raise UserError(
                        f"{url} answers {status}: {ADVICE.get(status, error.response.reason)}."
                    ) from None
                wait = _retry_after(error.response)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                wait = 0.0
            if attempt + 1 < ATTEMPTS:
                time.sleep(
                    min(PATIENCE, max(wait, 2.0**attempt * float(os.environ.get("BLEMISH_BACKOFF", 1))))
                )
        else:
            raise UserError(
                f"{url} could not be fetched in {ATTEMPTS} attempts: check the network and start again; "
                f"{part} keeps what has come."
            )
        try:
            verify(part)
        except UserError as error:
            refused = destination.with_name(f"{destination.name}.refused")
            os.replace(part, refused)
            raise UserError(f"{url} gave a wrong file, kept apart as {refused}: {error}") from None
        os.replace(part, destination)


def _continue(url: str, part: Path) -> bool:
    """Appends to `part` what is missing; whether it is complete as far as the server says."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # nothing beyond what is here, or a file that has changed
            whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if whole == str(have):
                return True
            part.unlink()
            return False
        answer.raise_for_status()
        if answer.status_code != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            open(part, "ab" if have else "wb") as file,
            tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.name, mininterval=5) as bar,
        ):
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    return total is None or part.stat().st_size == total


def _retry_after(answer: requests.Response) -> float:
    try:
        return float(answer.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0

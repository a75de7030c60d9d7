"""One file from a source: a URL, or a local path written `file:relative/path`; verified before it is used."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from blemish.data.files import atomic
from blemish.errors import UserError
from blemish.sources.http import download

LOCAL = "file:"


def local_path(address: str) -> Path | None:
    """The path of a `file:` address, relative to the working directory; None for any other address."""
    return Path(address.removeprefix(LOCAL)).expanduser() if address.startswith(LOCAL) else None


def fetch_file(source: Mapping, destination: str | os.PathLike) -> None:
    """Brings one file to `destination`; it appears there whole and verified, or not at all.

    Args:
        source: `url` (http, https or `file:`); `sha256`, the digest or the start of it, and `bytes`, the size,
            where they are known.
        destination: the file to make.

    Raises:
        UserError: the file is not to be had, or is not the expected one; the sentence says what to do.
    """
    destination = Path(destination)
    sha256, size = source.get("sha256"), source.get("bytes")
    local = local_path(source["url"])
    if local is None:
        download(source["url"], destination, verify=lambda path: verify(path, sha256, size))
        return
    if not local.is_file():
        raise UserError(f"there is no file {local}, which the config names as a source: put it there.")
    try:
        verify(local, sha256, size)
    except ValueError as error:
        raise UserError(f"{local} is not the file that the config names: {error}; put the right one there.") from error
    with atomic(destination) as temporary:
        shutil.copyfile(local, temporary)  # not a link: nothing a job does to its output may reach the source


def verify(path: Path, sha256: str | None, size: int | None) -> None:
    """Checks a file's size and the start of its SHA-256 digest, as far as they are known.

    Raises:
        ValueError: one of them is another than expected.
    """
    actual = path.stat().st_size
    if size is not None and actual != size:
        raise ValueError(f"it has {actual:,} bytes and should have {size:,}")
    if sha256 is not None:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(sha256.lower()):
            raise ValueError(f"its SHA-256 is {digest} and should be {sha256}")

"""One file from a source: a URL, or a local path written `file:relative/path`; verified before it is used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from blemish.data.digests import file_digest
from blemish.data.files import atomic
from blemish.errors import UserError
from blemish.sources.http import download
from blemish.sources.settings import File

LOCAL = "file:"


def local_path(address: str) -> Path | None:
    """The path of a `file:` address, relative to the working directory; None for any other address."""
    return Path(address.removeprefix(LOCAL)).expanduser() if address.startswith(LOCAL) else None


def fetch_file(source: File, destination: str | os.PathLike) -> None:
    """Brings one file to `destination`; it appears there whole and verified, or not at all.

    Args:
        source: its address, and what is known of its content.
        destination: the file to make.

    Raises:
        UserError: the file cannot be fetched, or is not the expected one.
    """
    destination = Path(destination)
    local = local_path(source.url)
    if local is None:
        download(source.url, destination, verify=lambda path: verify(path, source))
        return
    if not local.is_file():
        raise UserError(f"the file {local}, which the config names as a source, is missing: put it there.")
    try:
        verify(local, source)
    except ValueError as error:
        raise UserError(f"{local} is not the file that the config names: {error}; put the right one there.") from error
    with atomic(destination) as temporary:
        shutil.copyfile(local, temporary)  # not a link: nothing a job does to its output may reach the source


def verify(path: Path, source: File) -> None:
    """Checks a file's size and the start of its SHA-256 digest, as far as they are known.

    Raises:
        ValueError: one of them is another than expected.
    """
    actual = path.stat().st_size
    if source.bytes is not None and actual != source.bytes:
        raise ValueError(f"it has {actual:,} bytes and should have {source.bytes:,}")
    if source.sha256 is not None and not (digest := file_digest(path)).startswith(source.sha256):
        raise ValueError(f"its SHA-256 is {digest} and should be {source.sha256}")

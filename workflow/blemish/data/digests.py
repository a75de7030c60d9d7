"""SHA-256 of files and of settings."""

from __future__ import annotations

import hashlib
import json
from os import PathLike


def digest(*parts) -> str:
    """SHA-256 of anything that JSON holds; the order of keys does not count."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def file_digest(path: str | PathLike) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

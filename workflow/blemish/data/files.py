"""Small files: read or refused by name, in one sentence; written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from blemish.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def explained(path: str | os.PathLike) -> Iterator[None]:
    """Turns what reading a damaged file raises into one sentence; faults of disk and memory pass."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: make it first.") from error
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:  # of pyarrow and pandas too
        if getattr(error, "errno", None) is not None:
            raise
        what = " ".join(str(error).split())[:200].rstrip(".") or "it is empty"
        raise UserError(f"{path} is damaged or of another kind ({what}). Delete it and run again.") from error


def read_json(path: str | os.PathLike, keys: Sequence[str] = ()) -> dict:
    """A JSON object.

    Raises:
        UserError: the file is missing or damaged, or lacks one of the keys.
    """
    with explained(path):
        content = json.loads(Path(path).read_text())
        if not isinstance(content, dict) or not content.keys() >= set(keys):
            raise ValueError(f"it is not an object with {', '.join(keys) or 'keys'}")
        return content


def read_csv(path: str | os.PathLike, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table of text; the column `id` stays text, even where it looks like a number.

    Raises:
        UserError: the file is missing or damaged, or lacks one of the columns.
    """
    import pandas as pd

    with explained(path):
        # Only an empty cell lacks a value: "NA" or "null" may be an id.
        frame = pd.read_csv(path, dtype={"id": str}, keep_default_na=False, na_values=[""])
        _require(columns, frame.columns)
        return frame


def read_table(path: str | os.PathLike, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table in Parquet, its checksums checked.

    Raises:
        UserError: the file is missing or damaged, or lacks one of the columns.
    """
    import pyarrow.parquet as pq

    with explained(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        _require(columns or (), file.schema_arrow.names)
        return file.read(columns=columns).to_pandas(ignore_metadata=True)


def _require(columns: Iterable[str], there: Iterable[str]) -> None:
    if missing := {*columns} - {*there}:
        raise ValueError(f"it has no column {', '.join(sorted(missing))}")


_UMASK = os.umask(0)  # the only way to read it
os.umask(_UMASK)


@contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a private name beside `path`; renames it to `path` if the block succeeds, removes it if not.

    The name carries the process id: a job left over from a killed run cannot write into the same file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)  # safetensors makes files that nobody else may read
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text as UTF-8, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a private empty folder beside `path`; puts it in the place of `path` if the block succeeds."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def escape_spreadsheet(text: str) -> str:
    """Text that a spreadsheet shows as it is, and does not run as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text

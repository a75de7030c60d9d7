"""Reads the small files that jobs hand on: one that is damaged is refused by name, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from blemish.job import UserError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def explained(path: str | PathLike) -> Iterator[None]:
    """Turns what reading a damaged file raises into one sentence; faults of disk and memory pass."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: make it first.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(path, error) from error
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:  # pyarrow's and pandas' are of these
        raise _damaged(path, error) from error


def _damaged(path: str | PathLike, error: Exception) -> UserError:
    what = " ".join(str(error).split())[:200].rstrip(".") or "it is empty"
    return UserError(f"{path} is damaged, or no such file ({what}): delete it and make it anew.")


def read_json(path: str | PathLike, keys: Sequence[str] = ()) -> dict:
    """A JSON object.

    Raises:
        UserError: the file is missing or damaged, or lacks one of the keys.
    """
    with explained(path):
        content = json.loads(Path(path).read_text())
        if not isinstance(content, dict) or not content.keys() >= set(keys):
            raise ValueError(f"it is no object with {', '.join(keys) or 'keys'}")
        return content


def read_csv(path: str | PathLike, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table of text; the column `id` stays text, even where it looks like a number.

    Raises:
        UserError: the file is missing or damaged, or lacks one of the columns.
    """
    import pandas as pd

    with explained(path):
        # Only nothing is no value: "NA" or "null" may be an id.
        frame = pd.read_csv(path, dtype={"id": str}, keep_default_na=False, na_values=[""])
        if not {*frame.columns} >= {*columns}:
            raise ValueError(f"it has no column {', '.join(sorted({*columns} - {*frame.columns}))}")
        return frame


def read_table(path: str | PathLike, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table in Parquet, its checksums checked.

    Raises:
        UserError: the file is missing or damaged, or lacks one of the columns.
    """
    import pyarrow.parquet as pq

    with explained(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        missing = {*(columns or ())} - {*file.schema_arrow.names}
        if missing:
            raise ValueError(f"it has no column {', '.join(sorted(missing))}")
        return file.read(columns=columns).to_pandas(ignore_metadata=True)

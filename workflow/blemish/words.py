"""The closest match for a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(value: object, names: Iterable[str]) -> str:
    """`, did you mean 'name'?` for the name that is most like a value, nothing if none is."""
    matches = difflib.get_close_matches(str(value), list(names), n=1)
    return f", did you mean {matches[0]!r}?" if matches else ""

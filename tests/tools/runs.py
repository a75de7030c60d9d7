"""What two runs are compared by: the files that lead to a result, without the seconds in them."""

from __future__ import annotations

import json
from pathlib import Path

UNCOMPARED = {"logs", "benchmarks", "tensorboard", "settings"}  # times, and notes that lead to no result


def results(folder: Path) -> dict[str, Path]:
    """All files of a results folder that are there under a name of their own."""
    named = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        str(name): path
        for name, path in named.items()
        if not any(part in UNCOMPARED or part.startswith(".") for part in name.parts)
    }


def content(path: Path) -> bytes:
    """What must be equal: everything but the seconds that a training took."""
    if path.name == "card.json":
        card = json.loads(path.read_text())
        return json.dumps({key: value for key, value in card.items() if key != "seconds"}).encode()
    return path.read_bytes()

"""What two runs are compared by: the files that lead to a result."""

from __future__ import annotations

from pathlib import Path

UNCOMPARED = {"logs", "benchmarks", "tensorboard"}  # they hold times


def results(folder: Path) -> dict[str, Path]:
    """All files of a results folder that are there under a name of their own."""
    named = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        str(name): path
        for name, path in named.items()
        if not any(part in UNCOMPARED or part.startswith(".") for part in name.parts)
    }

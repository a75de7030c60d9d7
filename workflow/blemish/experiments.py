"""Which detectors, sets and corruptions a config asks for. The Snakefile imports this: no torch, no pandas.

A table (config/paper/tables.yaml) is a dict with `title`, `caption`, `section`, `row_headers`, `columns` and `rows`. A
column or row is its `label` (text or a list of texts, outermost group first) and its entry: any of the fields of a
`Detector`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from blemish.errors import UserError
from blemish.words import closest

LABELLED = ("human", "pseudo")  # supervisions that are not recipes


class Detector(NamedTuple):
    """One trained detector, up to its seed; the fields are the folders of its results, in that order."""

    train_set: str  # richhf-100 | hps | richhf-7701
    supervision: str  # human | pseudo | a recipe of config/corruptions.yaml
    backbone: str  # swin-t | convnext-t


def label(entry: Mapping) -> tuple[str, ...]:
    """The texts of a row's or column's label, outermost group first."""
    texts = entry["label"]
    return (texts,) if isinstance(texts, str) else tuple(texts)


def cells(table: Mapping) -> list[list[Detector]]:
    """The detector of each cell, rows x columns: the column's entry overlaid by the row's.

    Raises:
        UserError: a cell lacks one of `Detector`'s fields.
    """
    return [[cell(row, column) for column in table["columns"]] for row in table["rows"]]


def cell(row: Mapping, column: Mapping) -> Detector:
    entry = {**column, **row}
    missing = [field for field in Detector._fields if field not in entry]
    if missing:
        raise UserError(
            f"tables: the cell in {_where(row, column)} lacks {' and '.join(missing)}: "
            "give it in that row or that column of config/paper/tables.yaml."
        )
    return Detector(*(entry[field] for field in Detector._fields))


def _where(row: Mapping, column: Mapping) -> str:
    return f"row {' / '.join(label(row))!r}, column {' / '.join(label(column))!r}"


def walk(table: Mapping) -> Iterator[tuple[Mapping, Mapping, Detector]]:
    """Each cell's row, column and detector, in reading order."""
    for row in table["rows"]:
        for column in table["columns"]:
            yield row, column, cell(row, column)


def detectors(tables: Mapping[str, Mapping]) -> list[Detector]:
    """The distinct detectors of all tables, sorted: each is trained once, however many cells show it."""
    return sorted({cell for table in tables.values() for row in cells(table) for cell in row})


def check(
    tables: Mapping[str, Mapping],
    recipes: Iterable[str],
    backbones: Iterable[str],
    train_sets: Iterable[str],
) -> None:
    """Checks every cell's names against the config's.

    Raises:
        UserError: names the first cell with an unknown train set, supervision or backbone, and the closest
            name.
    """
    known = Detector(list(train_sets), [*LABELLED, *recipes], list(backbones))
    for name, table in tables.items():
        for row, column, cell in walk(table):
            for field, value, names in zip(Detector._fields, cell, known, strict=True):
                if value not in names:
                    raise UserError(
                        f"tables: {name}, {_where(row, column)}: unknown {field} {value!r}"
                        f"{closest(value, names)}; the config knows {', '.join(names)}."
                    )


def steps_inverted(step: int, steps: int) -> int:
    """DDIM step s of a recipe means that steps - s steps are inverted (§4.3): step 40 of 50 is ten of them.

    Raises:
        UserError: the schedule does not have the step.
    """
    if not 0 <= step <= steps:
        raise UserError(f"corruption step {step} is not among 0 to {steps}. Correct the recipe's step.")
    return steps - step


def before(n: int, stride: int) -> int:
    """The stored number of inversion steps from which the inversion to n > 0 steps goes on."""
    return (n - 1) // stride * stride


def stored(depths: Iterable[int], stride: int) -> list[int]:
    """All numbers of inversion steps that are stored on the way to `depths`, ascending."""
    found: set[int] = set()
    for n in depths:
        while n not in found:
            found.add(n)
            n = before(n, stride) if n else 0
    return sorted(found)

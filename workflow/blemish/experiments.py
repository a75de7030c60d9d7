"""Which detectors, regions, inversions and corruptions a config asks for. Light: the Snakefile imports it.

A table (config/paper/tables.yaml) is a dict with `title`, `caption`, `section`, `row_headers`, `columns` and `rows`. A
column or row is its `label` (text or a list of texts, outermost group first) and its entry: any of the fields of a
`Detector`.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from blemish.errors import UserError
from blemish.steps import steps_inverted, stored

LABELLED = ("human", "pseudo")  # supervisions that are not recipes
HPS = "hps"  # the pool that Tables 2 and 4 and most figures are about


class Detector(NamedTuple):
    """One trained detector, up to its seed; the fields are the folders of its results, in that order."""

    train_set: str  # richhf-human | hps | richhf
    supervision: str  # human | pseudo | a recipe of config/corruptions.yaml
    backbone: str  # swin-t | convnext-t


def label(entry: Mapping) -> tuple[str, ...]:
    """The texts of a row's or column's label, outermost group first."""
    texts = entry["label"]
    return (texts,) if isinstance(texts, str) else tuple(texts)


def walk(table: Mapping) -> Iterator[tuple[Mapping, Mapping, Detector]]:
    """Each cell's row, column and detector, in reading order: the column's entry overlaid by the row's.

    Raises:
        UserError: a cell lacks one of `Detector`'s fields.
    """
    for row, column in itertools.product(table["rows"], table["columns"]):
        entry = {**column, **row}
        if missing := [field for field in Detector._fields if field not in entry]:
            raise UserError(
                f"tables: the cell in {place(row, column)} lacks {' and '.join(missing)}: give it in that row or that "
                "column of config/paper/tables.yaml."
            )
        yield row, column, Detector(*(entry[field] for field in Detector._fields))


def place(row: Mapping, column: Mapping) -> str:
    """Where a cell is, in words."""
    return f"row {' / '.join(label(row))!r}, column {' / '.join(label(column))!r}"


def detectors(tables: Mapping[str, Mapping]) -> list[Detector]:
    """The distinct detectors of all tables, sorted: each is trained once, however many cells show it."""
    return sorted({detector for table in tables.values() for *_, detector in walk(table)})


class CorruptedPool(NamedTuple):
    """A pool corrupted by a recipe in the regions of a backbone; the fields are the folders of its files."""

    pool: str
    recipe: str
    backbone: str


def shards(config: Mapping, pool: str) -> list[str]:
    """The names of a pool's shards."""
    return [str(i) for i in range(config["pools"][pool]["shards"])]


def first_backbone(config: Mapping) -> str:
    """The backbone whose regions figures and the strength table show: the first by name."""
    return min(config["backbones"])


def shown(config: Mapping, recipes: Iterable[str], pools: Iterable[str] = (HPS,)) -> list[CorruptedPool]:
    """What a figure of these recipes and pools shows: the regions are the first backbone's."""
    return [CorruptedPool(pool, recipe, first_backbone(config)) for pool in pools for recipe in recipes]


def corrupted_pools(config: Mapping) -> list[CorruptedPool]:
    """All that detectors, figures and the strength table need, sorted."""
    trained = [CorruptedPool(*d) for d in detectors(config["tables"]) if d.supervision in config["recipes"]]
    measured = shown(config, config["recipes"])
    return sorted({*trained, *measured, *shown(config, [config["figures"]["recipe"]], config["pools"])})


def regions(config: Mapping) -> list[tuple[str, str]]:
    """(pool, backbone) of all regions that are corrupted or serve as pseudo labels, sorted."""
    pseudo = {(d.train_set, d.backbone) for d in detectors(config["tables"]) if d.supervision == "pseudo"}
    return sorted(pseudo | {(corrupted.pool, corrupted.backbone) for corrupted in corrupted_pools(config)})


def trainings(config: Mapping) -> list[tuple[Detector, int]]:
    """(detector, seed) of all that is trained, sorted: the tables' detectors and the selectors of all regions."""
    seeds = config["detectors"]["seeds"]
    selectors = {(Detector("richhf-human", "human", backbone), seeds[0]) for _, backbone in regions(config)}
    return sorted(selectors | {(detector, seed) for detector in detectors(config["tables"]) for seed in seeds})


def depth(config: Mapping, recipe: str) -> int:
    """How many steps are inverted for a recipe."""
    return steps_inverted(config["recipes"][recipe]["step"], config["schedule"]["steps"])


def inversions(config: Mapping) -> list[tuple[str, int]]:
    """(pool, number of steps) of all stored latents on the way to every corruption, pool by pool, ascending."""
    needed = {pool: [c.recipe for c in corrupted_pools(config) if c.pool == pool] for pool in config["pools"]}
    return [
        (pool, n)
        for pool, recipes in needed.items()
        for n in stored([depth(config, recipe) for recipe in recipes], config["schedule"]["stride"])
    ]


def group(names: Iterable[Hashable], values: Iterable) -> dict[Hashable, list]:
    """Values by name: a rule lists its files in a row, and beside them in a param what each is of.

    Raises:
        ValueError: there are more of one than of the other.
    """
    found: dict[Hashable, list] = {}
    for name, value in zip(names, values, strict=True):
        found.setdefault(name, []).append(value)
    return found


def combinations(axes: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """One choice of every axis, in all ways; a single empty one without axes."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]

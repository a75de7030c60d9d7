"""docs/method.md leads from the paper to functions, files and keys that exist."""

import importlib
import inspect
import re

import pytest
import yaml

from blemish.config.load import ROOT
from blemish.corruption import methods

LINES = (ROOT / "docs/method.md").read_text().splitlines()
ROWS = [line.split("|")[1:3] for line in LINES if line.startswith("| ")][1:]
NAMES = [(name, before) for _, cell in ROWS for before, name in re.findall(r"(key |recipe )?`([^`]+)`", cell)]
KEYS = yaml.safe_load((ROOT / "config/config.yaml").read_text())
RECIPES = yaml.safe_load((ROOT / "config/corruptions.yaml").read_text())["recipes"]


@pytest.mark.parametrize(("name", "kind"), NAMES, ids=[name for name, _ in NAMES])
def test_what_the_map_names_exists(name, kind):
    if kind:
        assert name in {"key ": KEYS, "recipe ": RECIPES}[kind]
    elif "/" in name:
        assert (ROOT / name).is_file()
    else:
        assert callable(resolve(name)) and inspect.getdoc(resolve(name))


def resolve(name):
    """The object that a dotted name below the package means."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(["blemish", *parts[:length]]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"no module of the package is named in {name}")


@pytest.mark.parametrize("number", range(1, 7))
def test_every_equation_has_its_place(number):
    assert any(re.search(rf"Eq\. {number}\b", paper) for paper, _ in ROWS)


def test_every_corruption_method_has_its_place():
    assert {f"corruption.methods.{method}.select" for method in methods.methods()} <= {name for name, _ in NAMES}

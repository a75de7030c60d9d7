"""The house of `workflow/blemish`: a chapter imports only chapters above it; jobs and errors serve all."""

import ast
from pathlib import Path

import pytest

import blemish

PACKAGE = Path(blemish.__path__[0])
ORDER = (
    *(
        "words",
        "settings",
        "steps",
        "experiments",
        "data",
        "sources",
        "labels",
        "corruption",
        "detection",
        "evaluation",
    ),
    *("report", "miniworld", "config", "planning", "cli"),
)
SERVE_ALL = ("errors", "jobs")
MODULES = sorted(PACKAGE.rglob("*.py"))


def chapter(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path):
    """The package's modules that a file imports, at its top or within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "blemish":
            yield from (
                [f"blemish.{alias.name}" for alias in node.names] if node.module == "blemish" else [node.module]
            )
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "blemish")


def test_every_chapter_has_its_place():
    found = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__pycache__", "home"} == {*ORDER, *SERVE_ALL}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_chapter_imports_only_chapters_above_it(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        used = chapter(module)
        if own in SERVE_ALL:
            assert used in SERVE_ALL, f"{own} serves all chapters and imports {module}"
        elif own in ORDER:
            assert used in SERVE_ALL or ORDER.index(used) <= ORDER.index(own), f"{module} lies below {own}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_says_in_its_first_line_what_a_reader_finds(path):
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said and said.split("\n")[0].endswith((".", "?", ":"))

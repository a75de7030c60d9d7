"""Small tables as text: Markdown and LaTeX, with the escaping each needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "§": r"\S{}",
    "−": "$-$",
    "±": r"$\pm$",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def escape_markdown(text: str) -> str:
    """Text that a Markdown table cell shows as it is."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text).replace("\n", " ")


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(_LATEX.get(character, character) for character in text)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A pipe table.

    Args:
        header: one text per column, escaped where it needs to be.
        rows: the same of each row.
        left: how many of the first columns are text, aligned left; the others are numbers, aligned right.

    Raises:
        ValueError: a row is longer or shorter than the header.
    """
    ruler = [":--" if i < left else "--:" for i in range(len(header))]
    if any(len(row) != len(header) for row in rows):
        raise ValueError(f"every row needs {len(header)} cells")
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, ruler, *rows))


def columns_markdown(table: pd.DataFrame, columns: Mapping[str, tuple[str, Callable]], left: int = 1) -> str:
    """A pipe table of some columns of a table: name -> (heading, what makes a cell's text of its value)."""
    texts = [table[name].map(text) for name, (_, text) in columns.items()]
    return markdown([heading for heading, _ in columns.values()], list(zip(*texts, strict=True)), left)


def without_repeats(labels: Sequence[Sequence[str]]) -> list[list[str]]:
    """Row labels, outermost group first, with a group's name in its first row only."""
    shown: list[list[str]] = []
    previous: Sequence[str] = ()
    for texts in labels:
        same = 0
        while same < len(texts) - 1 and same < len(previous) and texts[same] == previous[same]:
            same += 1
        shown.append(["" if i < same else text for i, text in enumerate(texts)])
        previous = texts
    return shown

"""What is shown: the sections `figures`, `gallery`, `tables`, `published` and `claims`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from blemish.settings import Count, Settings, Text

Label = str | Annotated[list[str], Field(min_length=1)]
DetectorName = Annotated[
    str, Field(pattern="^[^/]+/[^/]+/[^/]+$", description="A detector as train_set/supervision/backbone.")
]
Names = Annotated[list[DetectorName], Field(min_length=1)]
Axes = dict[str, Annotated[list[str], Field(min_length=1)]]
Recipes = Annotated[list[Text], Field(min_length=1)]


class Figures(Settings):
    """What pictures show."""

    images: Annotated[int, Field(ge=2)]
    """Columns of a contact sheet, drawn by seed; Figures 4 and 6 show half as many of a set."""
    recipe: Text
    """The recipe that Figures 4, 6 and 8 show."""
    methods: Recipes
    """The recipes that Figure 5 compares (§5.3)."""
    targets: Recipes
    """The recipes that Figure 7 compares (§6.2)."""
    steps: Text
    """The table that the figure of IoU against the corruption step draws (§6.1)."""


class Gallery(Settings):
    """The page to browse corrupted images."""

    images: Count
    """Images of each corrupted set, drawn by seed."""


class Entry(Settings):
    """What the cells of a row or column have in common; a cell is its column's entry overlaid by its row's.

    A key that is absent is left to the other."""

    label: Label
    """Text, or a list of texts from the outermost group inwards."""
    train_set: str = None
    """`richhf-human` or a pool."""
    supervision: str = None
    """`human`, `pseudo`, or a recipe."""
    backbone: str = None
    """A backbone."""


class Table(Settings):
    """A table as rows x columns of detectors."""

    title: str
    """A few words."""
    caption: str
    """What it shows."""
    section: str
    """Where the paper has it."""
    row_headers: Annotated[list[str], Field(min_length=1)]
    """Names of the label's levels."""
    columns: Annotated[list[Entry], Field(min_length=1)]
    """What each column's cells have in common."""
    rows: Annotated[list[Entry], Field(min_length=1)]
    """What each row's cells have in common, over the column's."""


class PublishedRow(Settings):
    """A row of the paper's numbers."""

    label: Label
    """The label of the table's row."""
    values: list[float]
    """One number for each column, in %."""


class Published(Settings):
    """The paper's numbers of one table."""

    columns: Annotated[list[Label], Field(min_length=1)]
    """Labels of the table's columns."""
    rows: list[PublishedRow]
    """What the paper's rows hold."""


class Claim(Settings):
    """A statement of the paper: `order`, or `all` and `above`, or `mean` and `above`."""

    statement: str
    """What is claimed."""
    section: str
    """Where the paper says it."""
    note: str = None
    """What to know when reading it."""
    times: Annotated[float, Field(gt=0)] = None
    """The lower side is multiplied by this before it is compared; 1 if absent.

    ASSUME: where the paper says "significant" without a factor, far below is read as less than half."""
    over: Axes = Field({})
    """What {name} in a detector stands for, a case for each combination."""
    across: Axes = Field({})
    """The same, all combinations within one case."""
    order: Names = None
    """Names as train_set/supervision/backbone, each above the next."""
    all: Names = None
    """Names, each above each of `above`."""
    mean: Names = None
    """Names whose mean is above the mean of `above`."""
    above: Names = None
    """What `all` or `mean` is above."""

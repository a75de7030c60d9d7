"""How artifact maps become labels, and how many a selector learns from: the sections `labels` and `subset`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from blemish.settings import Count, Settings, Share

Annotators = Annotated[int, Field(ge=1, le=3)]
Choice = Literal["keep", "drop"]


class Ambiguous(Settings):
    """What becomes of maps whose annotators cannot be counted."""

    all_zero: Choice
    """Maps on which nobody marked anything."""
    saturated: Choice
    """Maps in which only 0 and 255 occur."""
    unclear: Choice
    """All other maps: their plateaus, if they have any, lie at no level of so few annotators."""


class Accepted(Settings):
    """Counts of kept samples that a run goes on with, besides the paper's."""

    train: Count | None = None
    """Of the training split; null is the paper's 7,801 alone."""
    test: Count | None = None
    """Of the test split; null is the paper's 500 alone."""


class Labels(Settings):
    """Which samples become labels, and how a map is read."""

    annotators: Annotators
    """Samples with fewer annotators are left out (§4.1)."""
    votes: Annotators
    """A pixel is an artifact if at least so many annotators marked it (§4.1)."""
    tolerance: Annotated[int, Field(ge=0, le=40)]
    """How far, in grey levels of 255, a plateau may lie from its level.

    ASSUME: the published maps are compressed, and the paper does not say how it read them."""
    ambiguous: Ambiguous
    """Maps whose annotators cannot be counted.

    ASSUME: the paper does not say what became of them."""
    scores: Literal["use", "ignore"]
    """Whether the ratings' fractions tell the number of annotators where the map does not.

    ASSUME: the paper does not say how it counted annotators."""
    unreadable_allowed: Share
    """Share of samples that may be left out because they cannot be read, before the run stops; 0 is strict.

    ASSUME: the paper does not mention any."""
    accept_count: Accepted
    """Counts of kept samples that are accepted although the paper kept others (§4.1).

    Reason: on the released files, a policy that keeps over 2 % more or fewer samples than the paper did cannot be the
    paper's, so the run stops before it spends days on other labels. With the count that it named here, it goes on."""


class Subset(Settings):
    """The human-labelled samples of the region selection model."""

    count: Count
    """How many samples, drawn by seed (§4.1)."""

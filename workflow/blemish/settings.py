"""What the settings of every chapter have in common: their base class and the types that they share.

A setting's value stands in config/*.yaml; its type, bounds, unit and section of the paper stand once, here or in the
`settings.py` of its chapter. The docstring below a field is its description; a paragraph `ASSUME: reason` in it says
what the paper leaves open. The Snakefile imports all of them, so no library of networks or tables is imported here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A section of the config: every key known, every value of its own type, every number finite."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


NAMES = "Lower-case letters, digits, dots and hyphens; it becomes a folder."
Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]*$", description=NAMES)]
"""A name that becomes a folder."""

Text = Annotated[str, Field(min_length=1)]
"""Text that is not empty."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A share or a probability."""

Count = Annotated[int, Field(ge=1)]
"""How many of something that cannot be absent."""

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""A seed that every library takes."""

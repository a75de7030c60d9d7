"""Steps as the paper counts them, in inverted steps, and which of these are stored. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from blemish.errors import UserError


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

"""The corruption methods: the folder is the registry, a method is a file.

The contract of every file: one pure function

    select(z0, z_t, phi, p, generators, **parameters) -> z_sel

that returns z_t^sel of Eq. 5, the latents that take the place of the inverted ones inside the mask.
    z0: image latents, (b, 4, h, w) float32
    z_t: the inverted latents at the step of corruption, same shape
    phi, p: phi' and p' of Eq. 4 at that step, floats
    generators: one CPU generator per sample, the only source of random numbers
    parameters: the method's own, from its recipe in config/corruptions.yaml; the file describes them in a
        literal `PARAMETERS`, by which recipes are checked before anything runs: name -> some of `KEYWORDS`: those
        of a pydantic `Field`, and either `type` (int, float, str or bool) or `choices`, a list of the words that are
        allowed
A method sees no mask: `corruption.mask.blend` alone blends its latents in, so that no method can break confinement
    (Eq. 1).
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path

from blemish.errors import UserError
from blemish.words import closest

KEYWORDS = {"type", "choices", "description", "ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length"}


def methods() -> list[str]:
    """The names of all methods."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def parameters(method: str) -> dict[str, dict]:
    """A method's own parameters, name -> what it may be: `PARAMETERS` of its file, which is not imported for it.

    Raises:
        UserError: it says something else than what a value may be. A default would reach a result, and neither the
            recipe nor the code that makes a job stale would show it.
    """
    tree = ast.parse(Path(__path__[0], f"{method}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARAMETERS":
            found = ast.literal_eval(node.value)
            for name, about in found.items():
                if other := sorted({*about} - KEYWORDS):
                    raise UserError(
                        f"the corruption method {method} says {', '.join(other)} of its parameter {name}. "
                        f"Say only {', '.join(sorted(KEYWORDS))}; values stand in recipes."
                    )
            return found
    return {}


def load(method: str, **parameters) -> Callable:
    """The `select` of a method with its own parameters filled in.

    Raises:
        UserError: there is no such method, it has no such parameter, or it lacks one.
    """
    _known(method)
    select = importlib.import_module(f"{__name__}.{method}").select
    known = list(inspect.signature(select).parameters)[5:]
    for name in [*parameters, *known]:
        if name not in known or name not in parameters:
            raise UserError(
                f'the corruption method "{method}" {"needs" if name in known else "has no"} parameter "{name}": '
                f"it has {', '.join(known) or 'none'}; correct its recipe."
            )
    return functools.partial(select, **parameters)


def _known(method: str) -> None:
    if method not in methods():
        raise UserError(
            f'there is no corruption method "{method}"{closest(method, methods())}: '
            f"choose one of {', '.join(methods())}, or add workflow/blemish/corruption/methods/{method}.py."
        )

"""The corruption methods: the folder is the registry, a method is a file.

The contract of every file: one pure function

    select(z0, z_t, phi, p, generators, **parameters) -> z_sel

that returns z_t^sel of Eq. 5, the latents that take the place of the inverted ones inside the mask.
    z0: image latents, (b, 4, h, w) float32
    z_t: the inverted latents at the step of corruption, same shape
    phi, p: phi' and p' of Eq. 4 at that step, floats
    generators: one CPU generator per sample, the only source of random numbers
    parameters: the method's own, from its recipe in config/corruptions.yaml; the file describes them in a
        literal `PARAMETERS`, by which recipes are checked before anything runs: name -> keywords of a pydantic
        `Field` (description, ge, le, multiple_of, ...), and either `type` (int, float, str or bool) or `choices`, a
        list of the words that are allowed
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


def methods() -> list[str]:
    """The names of all methods."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def parameters(method: str) -> dict[str, dict]:
    """A method's own parameters, name -> what it may be: `PARAMETERS` of its file, which is not imported for it."""
    tree = ast.parse(Path(__path__[0], f"{method}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARAMETERS":
            return ast.literal_eval(node.value)
    return {}


def load(method: str, **parameters) -> Callable:
    """The `select` of a method with its own parameters filled in.

    Raises:
        UserError: the method or a parameter is unknown.
    """
    _known(method)
    select = importlib.import_module(f"{__name__}.{method}").select
    known = list(inspect.signature(select).parameters)[5:]
    for name in parameters:
        if name not in known:
            raise UserError(
                f'the corruption method "{method}" has no parameter "{name}": '
                f"it has {', '.join(known) or 'none'}; correct its recipe."
            )
    return functools.partial(select, **parameters)


def _known(method: str) -> None:
    if method not in methods():
        raise UserError(
            f'there is no corruption method "{method}"{closest(method, methods())}: '
            f"choose one of {', '.join(methods())}, or add workflow/blemish/corruption/methods/{method}.py."
        )

"""Lets mmseg be imported beside mmcv-lite, which is pure Python, and without waiting for imports that nothing uses.

mmseg imports `mmcv.ops` unguarded; `mmcv.ops` wants the compiled `mmcv._ext`, of which Swin, ConvNeXt,
UPerHead and FCNHead use nothing. Import this module before the first import of mmseg or mmengine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


class _Placeholder(ModuleType):
    """Stands in for the compiled operators while `mmcv.ops` looks up their names."""

    def __getattr__(self, name: str):
        if name.startswith("__"):  # `inspect` asks every module for its file
            raise AttributeError(name)

        def missing(*args, **kwargs):
            raise NotImplementedError(f"mmcv.ops.{name} needs the full mmcv: mmcv-lite has no compiled operators")

        return missing


@contextmanager
def _module(name: str, stand_in: ModuleType | None) -> Iterator[None]:
    """Puts `stand_in` into `sys.modules` for the block, unless the module is there; None fails its import."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


# mmengine would import these (2 s) to register two optimizers, and does without them as well.
with _module("transformers", None), _module("torch.distributed.optim", None):
    import mmengine.optim  # noqa: F401

if find_spec("mmcv._ext") is None:
    _extension = _Placeholder("mmcv._ext")
    _extension.__spec__ = ModuleSpec("mmcv._ext", None)
    # Left in place, it would make mmengine believe that the full mmcv is installed.
    with _module("mmcv._ext", _extension):
        import mmcv.ops  # noqa: F401

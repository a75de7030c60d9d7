"""Reads weights from outside without running code, and starts a detector from them."""

from __future__ import annotations

import logging
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

from blemish.detection import mmcv_lite  # noqa: F401  isort: skip

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from blemish.data import tensors
from blemish.errors import UserError

log = logging.getLogger(__name__)


def _statistic(owner: type, name: str):
    """Stands in for `getattr`, by which a pickled HistoryBuffer names its four statistics."""
    if owner is not HistoryBuffer or name not in ("min", "max", "mean", "current"):
        raise pickle.UnpicklingError(f"{owner}.{name} does not belong into a checkpoint")
    return getattr(HistoryBuffer, name)


# All that mmengine puts into a checkpoint beside tensors and plain values: the curves of loss and rate.
ALLOWED = [
    HistoryBuffer,
    (_statistic, "builtins.getattr"),
    np.ndarray,
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    np._core.multiarray.scalar,
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # written under numpy 1, as is the last
    np._core.multiarray._reconstruct,
    (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
]


def read(path: Path | str) -> dict[str, Tensor]:
    """Reads a state dict: safetensors, or a `.pth` as OpenMMLab writes. Never runs the file's code.

    Raises:
        UserError: the file is missing, is damaged, is not a state dict, or holds objects that would be executed.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"the weights {path} are missing: download or train them first.")
    try:
        if _is_safetensors(path):
            with safe_open(path, framework="pt") as file:
                if not tensors.is_sound(file):
                    raise UserError(f"{path} is damaged, its checksum differs. Delete it and run again.")
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        with torch.serialization.safe_globals(ALLOWED):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} holds more than weights, and reading that could run foreign code: get the file from its "
            f"publisher again, or save its state dict as .safetensors ({str(error).splitlines()[0]})."
        ) from error
    except (SafetensorError, RuntimeError, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}). Delete it and run again.") from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} is not a state dict: give the weights of a UPerNet trained by mmsegmentation.")
    return dict(state)


def fault(path: Path) -> str | None:
    """What is wrong with one of mmengine's checkpoints, None if nothing is; never runs its code."""
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch itself does not compare the checksums
                return f"{damaged} fails its checksum"
            for entry in archive.infolist():  # which no checksum covers
                if entry.file_size != entry.compress_size or entry.external_attr:
                    return f"{entry.filename} is described wrongly"
        with torch.serialization.safe_globals(ALLOWED):
            torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of zip, zlib, pickle and torch: whatever their parsers meet
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None


def _is_safetensors(path: Path) -> bool:
    """Whether the file's content is; downloads are stored under names of our own."""
    with open(path, "rb") as stream:
        return stream.read(9)[8:] == b"{"  # eight bytes of length, then JSON


def initialise(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads every tensor but the classifiers (`conv_seg`), whose number of classes differs.

    Args:
        model: a detector of `models.build`; changed in place.
        state: a state dict of `read`.

    Raises:
        UserError: another tensor is missing, unexpected or of another shape; it gives names and shapes.
    """
    theirs = {name: tensor for name, tensor in state.items() if "conv_seg" not in name}
    ours = {name: tensor for name, tensor in model.state_dict().items() if "conv_seg" not in name}
    _compare(ours, theirs)
    model.load_state_dict(theirs, strict=False)
    log.info("%d of %d tensors are the given weights'; the classifiers are new", len(ours), len(model.state_dict()))


def restore(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads every tensor of a detector that `train` wrote.

    Raises:
        UserError: a tensor is missing, unexpected or of another shape; it gives names and shapes.
    """
    _compare(model.state_dict(), state)
    model.load_state_dict(state)


def _compare(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    faults = [f"{name} {tuple(ours[name].shape)} is missing" for name in ours.keys() - theirs.keys()]
    faults += [f"{name} {tuple(theirs[name].shape)} is unexpected" for name in theirs.keys() - ours.keys()]
    faults += [
        f"{name} is {tuple(theirs[name].shape)} and should be {tuple(ours[name].shape)}"
        for name in ours.keys() & theirs.keys()
        if ours[name].shape != theirs[name].shape
    ]
    if faults:
        listed = "; ".join(sorted(faults)[:5]) + ("; ..." if len(faults) > 5 else "")
        raise UserError(
            f"these weights do not fit the network in {len(faults)} of {len(ours)} tensors: {listed}. "
            f"Give weights of the same backbone, or correct the backbone's config and overrides."
        )

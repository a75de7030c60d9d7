"""Builds a detector: the config in the mmseg wheel, changed only where this file or `overrides` says so."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from blemish.detection import mmcv_lite  # noqa: F401  isort: skip

import mmseg
import mmseg.models
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmseg.models.decode_heads import decode_head
from mmseg.registry import MODELS

from blemish.detection import backbones  # noqa: F401  registers ConvNeXt
from blemish.detection.settings import Backbone
from blemish.errors import UserError

CONFIGS = Path(mmseg.__path__[0]) / ".mim" / "configs"
CONVNEXT_TINY = {"depths": [3, 3, 9, 3], "channels": [96, 192, 384, 768]}  # mmpretrain's "tiny"


def _accuracy(logits: torch.Tensor, labels: torch.Tensor, ignore_index: int) -> torch.Tensor:
    """Percentage of the pixels with another class than `ignore_index` (n, h, w) that the logits get right."""
    counted = labels != ignore_index
    return 100 * ((logits.argmax(1) == labels) & counted).sum() / counted.sum()


decode_head.accuracy = _accuracy  # for mmseg's own the host waits for the device, at each head and training step


def configure(backbone: Backbone, classes: int, *, synchronised: bool = False) -> dict:
    """The model part of a config of the mmseg wheel with our differences.

    Args:
        backbone: which config, and what is merged over its `model`; its weights are not read.
        classes: how many; 2 for a detector (0 = background, 1 = artifact).
        synchronised: batch norm over all processes of a distributed training.

    Raises:
        UserError: the wheel has no such config.
    """
    path = CONFIGS / backbone.config
    if not path.is_file():
        raise UserError(f"mmseg {mmseg.__version__} has no config '{backbone.config}': give a path under {CONFIGS}.")
    model = Config.fromfile(path, import_custom_modules=False).model  # it would import mmpretrain
    norm = {"type": "SyncBN" if synchronised else "BN", "requires_grad": True}
    head = {"num_classes": classes, "norm_cfg": norm}
    ours = {
        "decode_head": head,
        "auxiliary_head": head,
        # records are RGB, of one size
        "data_preprocessor": {"bgr_to_rgb": False, "size": None, "size_divisor": 1},
        # test images have the training's size
        "test_cfg": {"_delete_": True, "mode": "whole"},
    }
    del model.backbone["init_cfg"]  # weights come from `init`, never from a download of the library's own
    if model.backbone.type == "mmpretrain.ConvNeXt":
        model.backbone.update(type="ConvNeXt", arch=CONVNEXT_TINY)
    merged = Config({"model": model})
    merged.merge_from_dict({"model": ours})
    merged.merge_from_dict({"model": _overrides(backbone)})
    return merged.model.to_dict()


def build(backbone: Backbone, classes: int = 2, *, synchronised: bool = False) -> BaseModel:
    """Builds the UPerNet that `backbone` describes, with random weights.

    Its `encode_decode(images, metas)` maps normalised (n, 3, h, w) to logits (n, classes, h, w).

    Args:
        backbone: see `configure`.
        classes: number of classes.
        synchronised: see `configure`.

    Raises:
        UserError: the config does not exist, or the overrides do not suit it.
    """
    settings = configure(backbone, classes, synchronised=synchronised)
    try:
        with DefaultScope.overwrite_default_scope("mmseg"), silence():
            model = MODELS.build(settings)
    except (TypeError, KeyError, ValueError, AttributeError, AssertionError) as error:  # mmseg's own checks
        raise UserError(
            f"mmseg cannot build {backbone.config} with the overrides {_overrides(backbone)} "
            f"({' '.join(str(error).split())[:200]}): correct the backbone's overrides in the config."
        ) from error
    with silence():  # it reports on every tensor, and that it starts from scratch whatever is loaded afterwards
        model.init_weights()
    return model.to(memory_format=torch.channels_last)  # a GPU's convolutions are fastest so


def _overrides(backbone: Backbone) -> dict[str, dict]:
    return backbone.overrides.model_dump(exclude_unset=True)


@contextmanager
def silence() -> Iterator[None]:
    """Drops what mmseg and mmengine say inside the block: messages up to INFO, prints, warnings for developers."""
    logging.disable(logging.INFO)
    try:
        with redirect_stdout(None), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)

"""The mini world's ADE20K: segmentation models pre-trained on the objects of scenes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from blemish.data.files import atomic
from blemish.detection.dataset import ArrayDataset
from blemish.detection.settings import Backbone, Training
from blemish.detection.train import train
from blemish.miniworld.generator import render
from blemish.miniworld.scenes import CLASSES


def pretrain(out: Path, backbone: Backbone, training: Training, scenes: int, seed: int) -> None:
    """Trains a model to tell `CLASSES` apart on that many scenes; its weights are saved in half precision."""
    drawn = render(seed, scenes)
    dataset = ArrayDataset(np.stack([s.image for s in drawn]), np.stack([s.labels for s in drawn]))
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        folder = Path(name)
        train(dataset, backbone, training, folder, folder / "state", seed=seed, device="cpu", classes=len(CLASSES))
        weights = load_file(folder / "weights.safetensors")
    halved = {name: t.half() if t.is_floating_point() else t for name, t in weights.items()}
    with atomic(out) as temporary:
        save_file(halved, temporary)

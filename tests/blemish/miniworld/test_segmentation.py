"""What segmentation models of the mini world start from."""

import torch
from safetensors.torch import load_file

from blemish.config.load import ROOT, load
from blemish.detection.models import build
from blemish.detection.settings import Backbone, Training
from blemish.miniworld.scenes import CLASSES
from blemish.miniworld.segmentation import pretrain


def test_pretrained_weights_are_whole_and_in_half_precision(tmp_path):
    mini = load([ROOT / "config/mini.yaml"])
    settings = {key: mini["detectors"][key] for key in Training.model_fields}
    backbone = Backbone(**mini["backbones"]["swin-t"])
    pretrain(tmp_path / "w.safetensors", backbone, Training(**settings | {"iterations": 2, "batch_size": 2}), 4, 0)
    weights = load_file(tmp_path / "w.safetensors")
    model = build(backbone, len(CLASSES))
    assert weights.keys() == model.state_dict().keys()
    assert {t.dtype for t in weights.values() if t.is_floating_point()} == {torch.float16}
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]

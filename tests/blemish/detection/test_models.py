import subprocess
import sys

import pytest
import torch

from blemish.detection import models
from blemish.errors import UserError


@pytest.mark.parametrize("name", ["swin", "convnext"])
def test_a_detector_maps_images_to_logits_of_their_size(tiny, name):
    model = models.build(tiny[name], classes=5).eval()
    features = model.extract_feat(torch.rand(2, 3, 64, 32))
    assert [tuple(f.shape[1:]) for f in features] == [(8, 16, 8), (16, 8, 4), (32, 4, 2), (64, 2, 1)]
    logits = model.encode_decode(torch.rand(2, 3, 64, 32), [{"img_shape": (64, 32)}] * 2)
    assert logits.shape == (2, 5, 64, 32)


def test_the_wheels_values_stay_where_we_write_nothing_down(full):
    swin, convnext = models.configure(full["swin"], 2), models.configure(full["convnext"], 2)
    for model in (swin, convnext):
        assert model["decode_head"]["channels"] == 512
        assert model["decode_head"]["in_channels"] == [96, 192, 384, 768]
        assert model["auxiliary_head"]["loss_decode"]["loss_weight"] == 0.4
        assert model["decode_head"]["num_classes"] == model["auxiliary_head"]["num_classes"] == 2
        assert model["data_preprocessor"]["mean"] == [123.675, 116.28, 103.53]
        assert model["test_cfg"] == {"mode": "whole"}
    assert swin["backbone"]["drop_path_rate"] == 0.3
    assert convnext["backbone"]["drop_path_rate"] == 0.4


def test_batch_norm_is_shared_only_among_several_processes(tiny):
    assert not _synchronised(models.build(tiny["swin"]))
    assert _synchronised(models.build(tiny["swin"], synchronised=True)) == 11


def _synchronised(model):
    return sum(isinstance(module, torch.nn.SyncBatchNorm) for module in model.modules())


def test_an_unknown_config_is_named(full):
    with pytest.raises(UserError, match=r"no config 'swin/none\.py'"):
        models.build(full["swin"].model_copy(update={"config": "swin/none.py"}))


def test_rgb_is_normalised_by_imagenets_means_in_that_order(tiny):
    red = torch.zeros(3, 8, 8, dtype=torch.uint8)
    red[0] = 255
    inputs = models.build(tiny["swin"]).data_preprocessor({"inputs": [red]})["inputs"]
    assert inputs[0, :, 0, 0].tolist() == pytest.approx([(255 - 123.675) / 58.395, -116.28 / 57.12, -103.53 / 57.375])


def test_placeholders_are_gone_after_the_import():
    code = """
import sys
from blemish.detection import mmcv_lite
assert "mmcv._ext" not in sys.modules and "transformers" not in sys.modules
import importlib, mmcv.ops
try:
    importlib.import_module("mmcv.ops.nms").ext_module.nms()
except NotImplementedError as error:
    assert "full mmcv" in str(error)
else:
    raise AssertionError("a compiled operator ran without being there")
"""
    subprocess.run([sys.executable, "-c", code], check=True)

import os
import pickle

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from blemish.detection import checkpoints, models
from blemish.errors import UserError


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def conv(name, out, inner, size, bias=True):
    return {f"{name}.weight": (out, inner, size, size)} | ({f"{name}.bias": (out,)} if bias else {})


def linear(name, out, inner, bias=True):
    return {f"{name}.weight": (out, inner)} | ({f"{name}.bias": (out,)} if bias else {})


def conv_module(name, out, inner, size):
    statistics = {f"{name}.bn.running_mean": (out,), f"{name}.bn.running_var": (out,)}
    counter = {f"{name}.bn.num_batches_tracked": ()}
    return conv(f"{name}.conv", out, inner, size, bias=False) | norm(f"{name}.bn", out) | statistics | counter


def swin(widths=(96, 192, 384, 768), depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=7):
    """Names and shapes of mmsegmentation's Swin-T."""
    shapes = conv("patch_embed.projection", widths[0], 3, 4) | norm("patch_embed.norm", widths[0])
    for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for j in range(depth):
            block = f"stages.{i}.blocks.{j}"
            shapes |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
            shapes[f"{block}.attn.w_msa.relative_position_bias_table"] = ((2 * window - 1) ** 2, heads[i])
            shapes[f"{block}.attn.w_msa.relative_position_index"] = (window**2, window**2)
            shapes |= linear(f"{block}.attn.w_msa.qkv", 3 * width, width)
            shapes |= linear(f"{block}.attn.w_msa.proj", width, width)
            shapes |= linear(f"{block}.ffn.layers.0.0", 4 * width, width)
            shapes |= linear(f"{block}.ffn.layers.1", width, 4 * width)
        if i < 3:
            shapes |= norm(f"stages.{i}.downsample.norm", 4 * width)
            shapes |= linear(f"stages.{i}.downsample.reduction", 2 * width, 4 * width, bias=False)
        shapes |= norm(f"norm{i}", width)
    return shapes


def convnext(widths=(96, 192, 384, 768), depths=(3, 3, 9, 3)):
    """Names and shapes of mmpretrain's ConvNeXt-T."""
    shapes = conv("downsample_layers.0.0", widths[0], 3, 4) | norm("downsample_layers.0.1", widths[0])
    for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        if i:
            shapes |= norm(f"downsample_layers.{i}.0", widths[i - 1])
            shapes |= conv(f"downsample_layers.{i}.1", width, widths[i - 1], 2)
        for j in range(depth):
            block = f"stages.{i}.{j}"
            shapes |= {f"{block}.gamma": (width,)} | conv(f"{block}.depthwise_conv", width, 1, 7)
            shapes |= norm(f"{block}.norm", width)
            shapes |= linear(f"{block}.pointwise_conv1", 4 * width, width)
            shapes |= linear(f"{block}.pointwise_conv2", width, 4 * width)
        shapes |= norm(f"norm{i}", width)
    return shapes


def heads(widths=(96, 192, 384, 768), channels=512, auxiliary=256, classes=150, pools=4):
    """Names and shapes of mmsegmentation's UPerHead and FCNHead."""
    shapes = conv("decode_head.conv_seg", classes, channels, 1)
    for i in range(pools):
        shapes |= conv_module(f"decode_head.psp_modules.{i}.1", channels, widths[-1], 1)
    shapes |= conv_module("decode_head.bottleneck", channels, widths[-1] + pools * channels, 3)
    for i in range(3):
        shapes |= conv_module(f"decode_head.lateral_convs.{i}", channels, widths[i], 1)
        shapes |= conv_module(f"decode_head.fpn_convs.{i}", channels, channels, 3)
    shapes |= conv_module("decode_head.fpn_bottleneck", channels, 4 * channels, 3)
    shapes |= conv("auxiliary_head.conv_seg", classes, auxiliary, 1)
    return shapes | conv_module("auxiliary_head.convs.0", auxiliary, widths[2], 3)


def tensors(shapes):
    """Random values, so that a tensor in the wrong place is seen."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randint(0, 9, shape, generator=generator)
        if name.endswith(("num_batches_tracked", "relative_position_index"))
        else torch.rand(shape, generator=generator)
        for name, shape in shapes.items()
    }


def published(path, backbone, **sizes):
    """A .pth as OpenMMLab publishes them: meta data beside the state dict."""
    state = tensors({f"backbone.{name}": shape for name, shape in backbone.items()} | heads(**sizes))
    meta = {
        "env_info": "sys.platform: linux\nPyTorch: 1.7.0",
        "seed": None,
        "exp_name": "upernet.py",
        "mmseg_version": "0.18.0+df86dee",
        "config": "norm_cfg = dict(type='SyncBN', requires_grad=True)\n",
        "CLASSES": ("wall", "building"),
        "PALETTE": [[120, 120, 120], [180, 120, 120]],
        "epoch": 64,
        "iter": 160000,
        "hook_msgs": {},
    }
    torch.save({"meta": meta, "state_dict": state}, path)
    return state


@pytest.mark.parametrize(("name", "backbone"), [("swin", swin()), ("convnext", convnext())])
def test_ade20k_weights_arrive_in_every_tensor_but_the_classifiers(full, tmp_path, name, backbone):
    theirs = published(tmp_path / "ade20k.pth", backbone)
    model = models.build(full[name], classes=2)
    classifiers = {key: value.clone() for key, value in model.state_dict().items() if "conv_seg" in key}
    checkpoints.initialise(model, checkpoints.read(tmp_path / "ade20k.pth"))
    ours = model.state_dict()
    assert len(ours) == len(theirs) and len(classifiers) == 4
    for key, value in ours.items():
        assert torch.equal(value, classifiers[key] if key in classifiers else theirs[key]), key


def test_convnext_computes_what_mmpretrains_computes(tiny):
    widths, depths = (8, 16, 32, 64), (1, 1, 1, 1)
    state = tensors({f"backbone.{name}": shape for name, shape in convnext(widths, depths).items()})
    state |= tensors(heads(widths, channels=8, auxiliary=8, pools=2))
    model = models.build(tiny["convnext"]).eval()
    checkpoints.initialise(model, state)
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    ours = model.backbone(image)
    for mine, theirs in zip(ours, mmpretrain_convnext(state, image, depths), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def mmpretrain_convnext(state, x, depths):
    """mmpretrain's forward pass (ConvNeXt.forward, ConvNeXtBlock.forward), read off its tensors' names."""
    of = {name.removeprefix("backbone."): tensor for name, tensor in state.items()}

    def layer_norm(x, name):  # over channels of (n, c, h, w)
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, x.shape[-1:], of[f"{name}.weight"], of[f"{name}.bias"], eps=1e-6)
        return x.permute(0, 3, 1, 2)

    for i, depth in enumerate(depths):
        if i == 0:
            x = F.conv2d(x, of["downsample_layers.0.0.weight"], of["downsample_layers.0.0.bias"], stride=4)
            x = layer_norm(x, "downsample_layers.0.1")
        else:
            x = layer_norm(x, f"downsample_layers.{i}.0")
            x = F.conv2d(x, of[f"downsample_layers.{i}.1.weight"], of[f"downsample_layers.{i}.1.bias"], stride=2)
        for j in range(depth):
            block = f"stages.{i}.{j}"
            weight, bias = of[f"{block}.depthwise_conv.weight"], of[f"{block}.depthwise_conv.bias"]
            y = layer_norm(F.conv2d(x, weight, bias, padding=3, groups=x.shape[1]), f"{block}.norm")
            y = y.permute(0, 2, 3, 1)
            y = F.linear(y, of[f"{block}.pointwise_conv1.weight"], of[f"{block}.pointwise_conv1.bias"])
            y = F.linear(F.gelu(y), of[f"{block}.pointwise_conv2.weight"], of[f"{block}.pointwise_conv2.bias"])
            x = x + (y * of[f"{block}.gamma"]).permute(0, 3, 1, 2)
        yield layer_norm(x, f"norm{i}")


def test_weights_that_do_not_fit_are_told_with_names_and_shapes(tiny):
    model = models.build(tiny["swin"])
    state = models.build(tiny["swin"], classes=7).state_dict()
    checkpoints.initialise(model, state)
    missing = {name: value for name, value in state.items() if name != "backbone.norm0.weight"}
    with pytest.raises(UserError, match=r"backbone\.norm0\.weight \(8,\) is missing"):
        checkpoints.initialise(model, missing)
    with pytest.raises(UserError, match=r"norm0\.weight is \(9,\) and should be \(8,\)"):
        checkpoints.initialise(model, state | {"backbone.norm0.weight": torch.ones(9)})
    with pytest.raises(UserError, match=r"backbone\.norm9\.weight \(9,\) is unexpected"):
        checkpoints.initialise(model, state | {"backbone.norm9.weight": torch.ones(9)})
    with pytest.raises(UserError, match="conv_seg"):
        checkpoints.restore(model, state)


def test_mmengines_own_checkpoints_can_be_read(tmp_path):
    hub = {"log_scalars": {"train/loss": HistoryBuffer([1.0, 0.5], [1, 1])}}
    torch.save({"state_dict": {"a": torch.ones(2)}, "message_hub": hub}, tmp_path / "iter_2.pth")
    assert torch.equal(checkpoints.read(tmp_path / "iter_2.pth")["a"], torch.ones(2))


def test_the_content_tells_the_format_whatever_the_name(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "a.weights")
    torch.save({"a": torch.ones(2)}, tmp_path / "b.weights")
    torch.save({"a": torch.ones(2)}, tmp_path / "c.weights", _use_new_zipfile_serialization=False)
    for name in "abc":
        assert torch.equal(checkpoints.read(tmp_path / f"{name}.weights")["a"], torch.ones(2))


class Attack:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("attack", [
    lambda path: Attack(os.mkdir, path),
    lambda path: Attack(eval, f"__import__('os').mkdir({path!r})"),
    lambda path: Attack(getattr, os.mkdir, "__call__"),
    lambda path: Attack(getattr, HistoryBuffer, "__subclasses__"),
])  # fmt: skip
def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path, attack):
    torch.save({"state_dict": {"a": torch.ones(2)}, "meta": attack(str(tmp_path / "done"))}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="foreign code"):
        checkpoints.read(tmp_path / "a.pth")
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps([1]), b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path, content, suffix):
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(UserError, match=f"a{suffix} (is damaged|holds|is not a state dict)"):
        checkpoints.read(tmp_path / f"a{suffix}")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.pth are missing"):
        checkpoints.read(tmp_path / "none.pth")

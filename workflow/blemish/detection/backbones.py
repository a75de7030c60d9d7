"""ConvNeXt for mmseg. The one that mmseg's configs name is mmpretrain's, which needs torchvision."""

from __future__ import annotations

from blemish.detection import mmcv_lite  # noqa: F401  isort: skip

from itertools import pairwise

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

EPS = 1e-6  # of every normalisation


class LayerNorm2d(nn.LayerNorm):
    """Normalises maps (n, c, h, w) over their channels."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """x + DropPath(gamma * MLP(norm(depthwise 7x7 convolution of x))), on maps (n, c, h, w)."""

    def __init__(self, channels: int, drop_path_rate: float, layer_scale: float):
        super().__init__()
        self.depthwise_conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, EPS)
        self.pointwise_conv1 = nn.Linear(channels, 4 * channels)
        self.pointwise_conv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), layer_scale))
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise_conv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pointwise_conv2(nn.functional.gelu(self.pointwise_conv1(y)))
        return x + self.drop_path(y.permute(0, 3, 1, 2))


@MODELS.register_module()
class ConvNeXt(BaseModule):
    """ConvNeXt (Liu et al., 2022) with the arguments and the tensors' names of mmpretrain's.

    Args:
        arch: {"depths": blocks of each stage, "channels": width of each stage}.
        out_indices: the stages to return; the heads use all four.
        drop_path_rate: in [0, 1], grows linearly over the blocks up to this.
        layer_scale_init_value: what each block's residual branch is multiplied by at first.
        gap_before_final_norm: must be False: the heads want maps, not their means.
    """

    def __init__(
        self,
        arch: dict,
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        gap_before_final_norm: bool = False,
    ):
        super().__init__()
        if gap_before_final_norm:
            raise ValueError("a segmentation backbone returns maps: gap_before_final_norm must be False")
        depths, channels = arch["depths"], arch["channels"]
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths)).tolist())
        self.out_indices = out_indices
        self.downsample_layers = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, channels[0], 4, stride=4), LayerNorm2d(channels[0], EPS))]
        )
        for before, after in pairwise(channels):
            self.downsample_layers.append(
                nn.Sequential(LayerNorm2d(before, EPS), nn.Conv2d(before, after, 2, stride=2))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, next(rates), layer_scale_init_value) for _ in range(depth)))
            for depth, width in zip(depths, channels, strict=True)
        )
        for index in out_indices:
            self.add_module(f"norm{index}", LayerNorm2d(channels[index], EPS))

    def init_weights(self) -> None:
        """Truncated normals of standard deviation 0.02 and no biases, as in the ConvNeXt paper."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(n, 3, h, w) -> one (n, channels[i], h / 2^(i+2), w / 2^(i+2)) per stage, normalised."""
        maps = []
        for index, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = stage(downsample(x))
            if index in self.out_indices:
                maps.append(getattr(self, f"norm{index}")(x))
        return tuple(maps)

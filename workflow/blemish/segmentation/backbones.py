"""ConvNeXt for mmseg. The one that mmseg's configs name is mmpretrain's, which needs torchvision."""

from __future__ import annotations

from blemish.segmentation import mmcv_lite  # noqa: F401  isort: skip

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor
from transformers.models.convnext.configuration_convnext import ConvNextConfig
from transformers.models.convnext.modeling_convnext import ConvNextBackbone


@MODELS.register_module()
class ConvNeXt(BaseModule):
    """transformers' ConvNeXt with the arguments of mmpretrain's.

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
        self.network = ConvNextBackbone(
            ConvNextConfig(
                depths=list(arch["depths"]),
                hidden_sizes=list(arch["channels"]),
                drop_path_rate=drop_path_rate,
                layer_scale_init_value=layer_scale_init_value,
                out_features=[f"stage{index + 1}" for index in out_indices],
            )
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(n, 3, h, w) -> one (n, channels[i], h / 2^(i+2), w / 2^(i+2)) per stage, normalised."""
        return self.network(images).feature_maps

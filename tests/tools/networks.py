"""Both backbones at their full size and at one that trains in milliseconds; nobody reads their weights."""

from blemish.detection.settings import Backbone

SWIN = "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py"
CONVNEXT = "convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py"


def network(config: str, **overrides: dict) -> Backbone:
    return Backbone(config=config, weights={"url": "file:none"}, overrides=overrides)


def narrow(config: str, backbone: dict) -> Backbone:
    head = {"in_channels": [8, 16, 32, 64], "channels": 8, "pool_scales": [1, 2]}
    return network(config, backbone=backbone, decode_head=head, auxiliary_head={"in_channels": 32, "channels": 8})


FULL = {"swin": network(SWIN), "convnext": network(CONVNEXT)}
TINY = {
    "swin": narrow(SWIN, {"embed_dims": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 4}),
    "convnext": narrow(CONVNEXT, {"arch": {"depths": [1, 1, 1, 1], "channels": [8, 16, 32, 64]}}),
}

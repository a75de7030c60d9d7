"""Both backbones at their full size and at one that trains in milliseconds, and a set to train on."""

import numpy as np
import pytest
import torch

from blemish.detection.settings import Backbone

torch.set_num_threads(1)

SWIN = "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py"
CONVNEXT = "convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py"


def network(config, **overrides):
    """A backbone whose weights nobody reads."""
    return Backbone(config=config, weights={"url": "file:none"}, overrides=overrides)


def narrow(width):
    return {
        "decode_head": {
            "in_channels": [width, 2 * width, 4 * width, 8 * width],
            "channels": 8,
            "pool_scales": [1, 2],
        },
        "auxiliary_head": {"in_channels": 4 * width, "channels": 8},
    }


@pytest.fixture(scope="session")
def full():
    return {"swin": network(SWIN), "convnext": network(CONVNEXT)}


@pytest.fixture(scope="session")
def tiny():
    swin = {"embed_dims": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 4}
    convnext = {"arch": {"depths": [1, 1, 1, 1], "channels": [8, 16, 32, 64]}}
    return {
        "swin": network(SWIN, backbone=swin, **narrow(8)),
        "convnext": network(CONVNEXT, backbone=convnext, **narrow(8)),
    }


@pytest.fixture
def squares():
    """Ten noisy images of 32x32 with a bright square each, and the squares as labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (10, 32, 32, 3), dtype=np.uint8)
    labels = np.zeros((10, 32, 32), np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(0, 20, 2)
        label[top : top + 12, left : left + 12] = 1
        image[label == 1] += 150
    return images, labels

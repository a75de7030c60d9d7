"""Both backbones at their full size and at one that trains in milliseconds, and a set to train on."""

import numpy as np
import pytest
import torch
from networks import FULL, TINY

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def full():
    return FULL


@pytest.fixture(scope="session")
def tiny():
    return TINY


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

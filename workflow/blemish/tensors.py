"""Tensors in safetensors files with a checksum, which the format itself lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from crc32c import crc32c
from safetensors import safe_open
from safetensors.torch import save_file

from blemish.job import atomic

CHECKSUM = "crc32c"


def save(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors on the CPU and texts about them, whole or not at all."""
    metadata = dict(metadata or {})
    metadata[CHECKSUM] = _checksum(dict(tensors).items(), metadata)
    with atomic(path) as temporary:
        save_file(dict(tensors), temporary, metadata)


def is_sound(file: safe_open) -> bool:
    """Whether an open file holds what was saved; a file of others, without a checksum, is taken for sound."""
    metadata = dict(file.metadata() or {})
    expected = metadata.pop(CHECKSUM, None)
    if expected is None:
        return True
    return expected == _checksum(((name, file.get_tensor(name)) for name in file.keys()), metadata)  # noqa: SIM118


def _checksum(tensors, metadata: Mapping[str, str]) -> str:
    """CRC-32C over the texts and over every tensor's name, type, shape and bytes."""
    crc = crc32c(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        crc = crc32c(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), crc)
        crc = crc32c(tensor.contiguous().reshape(-1).view(torch.uint8).numpy(), crc)
    return f"{crc:08x}"

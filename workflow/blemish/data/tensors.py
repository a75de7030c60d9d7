"""Tensors in safetensors files with a checksum, which the format itself lacks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from crc32c import crc32c
from safetensors import safe_open
from safetensors.torch import save_file

from blemish.data.files import atomic

ABOUT = "about"  # one key: safetensors writes several in no order of their own, and files would differ


def save(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors on the CPU and texts about them, whole or not at all."""
    metadata = dict(metadata or {})
    about = {"crc32c": _checksum(tensors.items(), metadata), "metadata": metadata}
    with atomic(path) as temporary:
        save_file(dict(tensors), temporary, {ABOUT: json.dumps(about, sort_keys=True)})


def about(file: safe_open) -> dict[str, str]:
    """The texts that were saved with the tensors of an open file.

    Raises:
        ValueError, KeyError, TypeError: `save` did not write it.
    """
    return json.loads(file.metadata()[ABOUT])["metadata"]


def is_sound(file: safe_open) -> bool:
    """Whether an open file holds what was saved; a file of others, without a checksum, counts as sound."""
    metadata = file.metadata() or {}
    if ABOUT not in metadata:
        return True
    try:
        saved = json.loads(metadata[ABOUT])
        tensors = ((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118
        return saved["crc32c"] == _checksum(tensors, saved["metadata"])
    except (ValueError, KeyError, TypeError):
        return False


def _checksum(tensors: Iterable[tuple[str, torch.Tensor]], metadata: Mapping[str, str]) -> int:
    """CRC-32C over the texts and over every tensor's name, type, shape and bytes."""
    crc = crc32c(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        crc = crc32c(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), crc)
        crc = crc32c(tensor.contiguous().reshape(-1).view(torch.uint8).numpy(), crc)
    return crc

"""A GPU for machines without one: "meta" tensors, which have shapes and no values, with a GPU's rules."""

from __future__ import annotations

from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SAME_TYPE = (
    *("convolution", "conv2d", "linear", "addmm", "mm", "bmm", "baddbmm", "matmul"),
    *("native_group_norm", "group_norm", "native_layer_norm", "layer_norm"),
)
"""Operators whose kernels refuse floating tensors of different types; those of "meta" do not ask."""

RANDOM = ("rand", "randn", "randint", "randperm", "normal", "normal_", "uniform_", "bernoulli", "native_dropout")


class PretendedGPU(TorchDispatchMode):
    """Inside the block, the device "meta" behaves like a GPU as far as mistakes go.

    What a GPU refuses is refused: tensors of two devices or types in one product, values that the host would have to
    wait for. Random numbers drawn on it are refused too, since all of ours come from the CPU. A copy to the host gives
    zeros.
    """

    def __enter__(self):
        self._copies = patch.object(torch.Tensor, "cpu", _to_the_host)  # of all threads, which a mode is not
        self._copies.start()
        return super().__enter__()

    def __exit__(self, *error):
        self._copies.stop()
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if name in SAME_TYPE and len({tensor.dtype for tensor in tensors}) > 1:
            raise RuntimeError(f"{name} of {sorted({str(tensor.dtype) for tensor in tensors})}")
        made = function(*args, **kwargs)
        if name in RANDOM and isinstance(made, torch.Tensor) and made.device.type == "meta":
            raise RuntimeError(f"{name} draws random numbers on the device")
        return made


def _to_the_host(tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros(tensor.shape, dtype=tensor.dtype) if tensor.device.type == "meta" else tensor.to("cpu")

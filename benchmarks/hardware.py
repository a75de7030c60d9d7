"""The name under which measurements are kept and found again."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def name(device: str) -> str:
    """The GPU's name for "cuda", the processor's with the threads that PyTorch uses for "cpu"."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' * (threads > 1)}"


def _processor() -> str:
    try:
        models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        models = []
    return models[0] if models else platform.machine()

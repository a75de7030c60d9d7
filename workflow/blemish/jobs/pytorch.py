"""Whether PyTorch, as it is installed for the jobs, can use this machine's GPUs; asked before anything runs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from blemish.errors import UserError

DRIVER = Path("/proc/driver/nvidia/version")
SECONDS = 120  # an import from a busy shared file system takes its time
README = "README.md says how"

# In a process of its own: PyTorch is large, and whoever has asked CUDA holds memory of a GPU until its end.
QUESTION = """
import json, sys, warnings
warnings.simplefilter("ignore")
try:
    import torch
except Exception as error:
    said = {"error": f"it cannot be imported: {error}"}
else:
    said = {"version": torch.__version__, "cuda": torch.version.cuda, "error": None}
    try:
        torch.cuda.init()
        said["built_for"] = torch.cuda.get_arch_list()
        said["gpus"] = [[torch.cuda.get_device_name(i), *torch.cuda.get_device_capability(i)]
                        for i in range(torch.cuda.device_count())]
    except Exception as error:
        said["error"] = str(error) or type(error).__name__
print(json.dumps(said))
"""


@dataclass(frozen=True)
class Build:
    """The PyTorch of the jobs' interpreter.

    Attributes:
        version: such as "2.13.0+cu130"; empty if it cannot be imported.
        cuda: the CUDA that it was built for; None for a build for the CPU.
        driver: NVIDIA's on this machine; None without one.
        fault: why it cannot use the GPUs, in words; None if it can.
    """

    version: str
    cuda: str | None
    driver: str | None
    fault: str | None


def require() -> None:
    """Checks that jobs on this machine will be able to use its GPUs.

    Raises:
        UserError: PyTorch cannot; names its build, its CUDA and the driver.
    """
    build = ask()
    if build.fault:
        raise UserError(f"{describe(build)} cannot use the GPUs of {socket.gethostname()}: {remedy(build)}.")


def describe(build: Build) -> str:
    """The build, its CUDA and the driver, in words."""
    cuda = f"built for CUDA {build.cuda}" if build.cuda else "built for the CPU"
    driver = f"NVIDIA's driver {build.driver}" if build.driver else "no driver of NVIDIA's"
    return f"PyTorch {build.version} ({cuda}; {driver} is here)" if build.version else f"PyTorch ({driver} is here)"


def remedy(build: Build) -> str:
    """What to do about the fault of a build, which it says first."""
    if not build.version:
        return f"{build.fault}; install it ({README})"
    if not build.cuda:
        return f"install a build for CUDA ({README})"
    return f"{build.fault}; install a newer driver, or a build for a CUDA that this driver knows ({README})"


def ask(python: str = sys.executable) -> Build:
    """What the PyTorch of an interpreter is and whether it can use the GPUs that this process may use."""
    try:
        done = subprocess.run([python, "-c", QUESTION], capture_output=True, text=True, timeout=SECONDS)
        said = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        said = {"error": f"it does not answer in {SECONDS} seconds"}
    except (IndexError, ValueError):
        said = {"error": f"asking it ends with code {done.returncode} and says {done.stderr.strip()[-200:]!r}"}
    fault = _first_line(said["error"]) if said["error"] else _unknown_gpu(said["gpus"], said["built_for"])
    return Build(said.get("version", ""), said.get("cuda"), driver(), fault)


def driver() -> str | None:
    """The version of NVIDIA's driver, as the kernel or else nvidia-smi says it."""
    try:
        text = DRIVER.read_text()
    except OSError:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            text = f"  {subprocess.run(command, capture_output=True, text=True, timeout=SECONDS).stdout}"
        except (OSError, subprocess.SubprocessError):
            return None
    found = re.search(r"\s(\d+\.\d+(\.\d+)?)\s", text)
    return found[1] if found else None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".")


def _unknown_gpu(gpus: list, built_for: list[str]) -> str | None:
    """Names a GPU for which the build has neither code nor what a driver could make code of."""
    if not gpus:
        return "it finds no GPU"
    kinds = [
        (m[1], int(m[2]), int(m[3])) for m in (re.match(r"(sm|compute)_(\d+)(\d)", arch) for arch in built_for) if m
    ]
    for name, major, minor in gpus:
        known = any(
            (kind == "sm" and made == major and less <= minor) or (kind == "compute" and (made, less) <= (major, minor))
            for kind, made, less in kinds
        )
        if kinds and not known:
            return f"it has no code for {name}, of compute capability {major}.{minor}"
    return None

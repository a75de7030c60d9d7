"""Which GPUs a job holds. `python -m blemish.jobs.devices` shows who holds what on this machine.

Snakemake counts GPUs, it does not say which: left alone, eight jobs of one GPU each would all use device 0. So every
GPU job takes a lease (`leases.hold`) on as many GPUs as it was promised, before CUDA is touched, and sees no others.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from blemish.errors import UserError
from blemish.jobs import leases

log = logging.getLogger(__name__)


@contextmanager
def lease(gpus: int, description: str = "") -> Iterator[list[str]]:
    """Holds `gpus` of the `visible` GPUs that no other job has, for this process and its children; waits for them.

    Sets CUDA_VISIBLE_DEVICES (to nothing for `gpus` = 0), so it must be entered before CUDA is first used. While it
    lasts, standard input is the lease's file: a child that closes it gives up its share of the lease.

    Args:
        gpus: how many.
        description: what the job does, for `holders`.

    Yields:
        The devices held, as CUDA_VISIBLE_DEVICES spells them.

    Raises:
        UserError: there are fewer GPUs than that, or several MIG slices are asked for.
    """
    if gpus == 0:
        with _environment(CUDA_VISIBLE_DEVICES=""):
            yield []
        return
    pool = visible()
    if len(pool) < gpus:
        raise UserError(
            f"this job needs {_gpus(gpus)} and {_there(pool)}: free more of them through CUDA_VISIBLE_DEVICES, or "
            "lower the job's `gpu` resource."
        )
    if gpus > 1 and any(device.startswith("MIG-") for device in pool):
        raise UserError(
            f"this job needs {_gpus(gpus)} and the pool has MIG slices, of which CUDA gives a process one only: ask "
            "for one GPU a job, or turn MIG off."
        )
    devices = {_key(device): device for device in pool}
    with leases.hold(_file(), list(devices), gpus, description) as keys:
        held = [devices[key] for key in keys]
        # PCI_BUS_ID: nvidia-smi's order, in which indices were counted.
        with _environment(CUDA_VISIBLE_DEVICES=",".join(held), CUDA_DEVICE_ORDER="PCI_BUS_ID"):
            log.info("holding %s of %d: %s", _gpus(gpus), len(pool), ", ".join(held))
            yield held


def require(gpus: int | None, local: bool, per_job: int = 1) -> None:
    """Checks, before anything runs, that jobs on this machine will get the GPUs that the run counts on.

    Args:
        gpus: N of `--resources gpu=N`, None if that was not given.
        local: whether jobs run on this machine; an executor's cluster counts its GPUs itself.
        per_job: the most GPUs that one job asks for, 0 if none does; Snakemake would silently cut it to N.

    Raises:
        UserError: no N, no GPU, fewer GPUs than N, or an N below `per_job`.
    """
    if per_job == 0 or not local:
        return
    there, given = visible(), f"`--resources gpu={gpus}` was given"
    if not there:
        needed = "add `--workflow-profile profiles/slurm` to run on a cluster"
        what = f"the config asks for CUDA and {_there(there)}: {needed}"
    elif gpus is None:
        needed = f"add `--resources gpu={len(there)}` to the command"
        what = f"the config asks for CUDA and Snakemake was not told how many GPUs to use: {needed}"
    elif gpus > len(there):
        what = f"{given} and {_there(there)}: type `--resources gpu={len(there)}`"
    elif gpus < per_job:
        needed = f"type `--resources gpu={per_job}` or more, lower detectors.gpus"
        what = f"{given} and one job of the config needs {_gpus(per_job)}: {needed}"
    else:
        return
    raise UserError(f"{what}, or try `make demo`, which needs no GPU.")


def asked_for(dag) -> int:
    """The most GPUs that one job of those to run asks for, before Snakemake cuts it to what was promised.

    Args:
        dag: Snakemake's, in which it is settled what runs.
    """
    return max((_asked_for(job) for job in dag.needrun_jobs()), default=0)


def _asked_for(job) -> int:
    asked = (job.rule.resources or {}).get("gpu")
    if asked is None or asked.is_evaluable():  # by a profile, as an expression
        asked = job.resources.get("gpu", 0)
    return int(getattr(asked, "value", asked) or 0)


def visible() -> list[str]:
    """The GPUs that this process may use: those in CUDA_VISIBLE_DEVICES if it is set, else the machine's.

    Indices and shortened UUIDs become full UUIDs, so that two runs which spell a GPU differently mean the same one. A
    GPU cut into MIG slices counts as its slices. As CUDA does, stops at the first entry that names no GPU.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [device for slices in _installed() for device in slices]
    # SLURM's own numbers are kept: they count from 0 in each job, and are the job's alone.
    installed = [] if _in_slurm_job() or not chosen else _installed()
    found = (_resolve(entry.strip(), installed) for entry in chosen.split(","))
    return list(dict.fromkeys(itertools.takewhile(bool, found)))


def holders() -> list[tuple[str, int, str]]:
    """(device, process id of the job that took it, what it does) for every GPU that is held."""
    return leases.holders(_file())


def _installed() -> list[list[str]]:
    """Per GPU of this machine, in PCI order, what a job can hold: its UUID, or those of its MIG slices."""
    if pretend := os.environ.get("BLEMISH_GPUS"):
        return [[device] for device in pretend.split(",")]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=120, check=True).stdout
    except FileNotFoundError:
        return []
    except subprocess.SubprocessError as error:
        log.warning("nvidia-smi -L failed, so no GPU is used: %s", error)
        return []
    gpus: list[list[str]] = []
    for kind, uuid in re.findall(r"^(GPU|  MIG) .*\(UUID: ([^)]+)\)", listing, re.MULTILINE):
        gpus.append([uuid]) if kind == "GPU" else gpus[-1].append(uuid)
    return [slices[1:] or slices for slices in gpus]


def _resolve(entry: str, installed: list[list[str]]) -> str | None:
    """The device that an entry of CUDA_VISIBLE_DEVICES means; without a listing of GPUs, the entry itself."""
    if not installed:
        return entry if re.fullmatch(r"\d+|(GPU|MIG)-.+", entry) else None
    if entry.isdecimal():
        return installed[int(entry)][0] if int(entry) < len(installed) else None
    matches = [device for slices in installed for device in slices if entry and device.startswith(entry)]
    return matches[0] if len(matches) == 1 else None


def _in_slurm_job() -> bool:
    return "SLURM_JOB_ID" in os.environ and "CUDA_VISIBLE_DEVICES" in os.environ


def _key(device: str) -> str:
    """The name a device is locked under: a SLURM job's devices are its own, whatever they are called."""
    return f"{device} of SLURM job {os.environ['SLURM_JOB_ID']}" if _in_slurm_job() else device


def _file() -> Path:
    # Not below $TMPDIR or $HOME: every user of the machine must find the same file, on a local disk.
    return Path(os.environ.get("BLEMISH_LEASES", "/tmp/blemish-gpus.lock"))


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _there(pool: Sequence[str]) -> str:
    count = "is no GPU" if not pool else "is 1 GPU" if len(pool) == 1 else f"are {len(pool)} GPUs"
    limit = " (CUDA_VISIBLE_DEVICES is set)" if "CUDA_VISIBLE_DEVICES" in os.environ else ""
    return f"there {count} on {socket.gethostname()}{limit}"


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    former = {name: os.environ[name] for name in values if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(former)


def main() -> None:
    """Prints one line per GPU: the job that holds it, or that it is free."""
    held = {device: (pid, text) for device, pid, text in holders()}
    for device in dict.fromkeys([*(d for slices in _installed() for d in slices), *held]):
        pid, text = held.get(device, (0, "free"))
        if pid and not Path(f"/proc/{pid}").exists():
            text += f" (that process is gone, its children are not: see `fuser {_file()}`)"
        print(f"{device}\t{pid or '-'}\t{text}")


if __name__ == "__main__":
    main()

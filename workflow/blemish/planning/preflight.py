"""`python -m blemish.planning.preflight [overlay ...]` asks, before the first long job, for all that a run will need.

Sources (are they there, may they be had, are they the expected files), disk, GPUs, driver and libraries, shared memory.
Nothing is downloaded, and it takes less than a minute. Ends with code 1 if something is missing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blemish.config.load import load
from blemish.errors import UserError, explain
from blemish.jobs import devices, pytorch
from blemish.planning.forecast import sizes, trajectory
from blemish.planning.rates import gpu_memory
from blemish.planning.workload import work
from blemish.sources import ask
from blemish.sources.settings import HPS, File, Images, Model

SKIP = "BLEMISH_NO_PREFLIGHT"
SECONDS = 45  # for all questions together
SHARED_MEMORY = Path("/dev/shm")
AHEAD = 2  # batches that each of PyTorch's loading processes holds ready
FINE, ADVICE, MISSING = "", "advice", "MISSING"


class Row(NamedTuple):
    """What was asked, what was found, what to do; and whether a run can do without."""

    asked: str
    found: str
    do: str = ""
    verdict: str = FINE


def sources(config: Mapping) -> dict[str, tuple[str, Callable[[], str]]]:
    """The file or folder that the graph makes of a source -> (the source's name, what asks it)."""
    fetched, richhf = f"{config['pathvars']['results']}/sources", config["sources"]["richhf"]
    questions = {}
    for split, record in richhf["records"].items():
        if record:
            questions[f"{fetched}/richhf/{split}.tfrecord"] = f"RichHF-18k, {split}", partial(ask.file, File(**record))
            question = partial(ask.images, Images(**richhf["images"]), split)
            questions[f"{fetched}/richhf/images-{split}.parquet"] = f"images of RichHF-18k, {split}", question
    questions[f"{fetched}/hps/tars.json"] = "HPS", partial(ask.tars, HPS(**config["sources"]["hps"]))
    questions[f"{fetched}/diffusion"] = "diffusion model", partial(ask.model, Model(**config["sources"]["diffusion"]))
    for name, backbone in config["backbones"].items():
        question = partial(ask.file, File(**backbone["weights"]))
        questions[f"{fetched}/segmentation/{name}.weights"] = f"segmentation model {name}", question
    return questions


def ask_sources(config: Mapping, wanted: Collection[str] | None = None) -> list[Row]:
    """A row for each source, asked side by side.

    Args:
        wanted: what the graph is to make of them; None asks for all, but for those that are here.
    """
    rows, waiting = {}, {}
    for path, (name, question) in sources(config).items():
        if wanted is None and os.path.exists(path):
            rows[path] = Row(name, f"{path} is here")
        elif wanted is None or path in wanted:
            rows[path] = Row(name, f"no answer in {SECONDS} seconds", "see to the network or its proxy", MISSING)
            waiting[path] = name, question

    def answer(path: str) -> None:
        rows[path] = _answer(*waiting[path])

    # Not a pool's threads, which an interpreter waits for at its end.
    threads = [threading.Thread(target=answer, args=(path,), daemon=True) for path in waiting]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return [*rows.values()]


def _answer(name: str, question: Callable[[], str]) -> Row:
    try:
        return Row(name, question())
    except Exception as error:
        sentence = explain(error) or f"{type(error).__name__}: {error}"
        found, _, do = sentence.partition(": ")
        return Row(name, found, do.rstrip("."), ADVICE if isinstance(error, ask.Passing) else MISSING)


def ask_disk(config: Mapping, all_needed: bool = True) -> Row:
    """Free space where results go, against the forecast.

    Args:
        all_needed: whether room for the sources alone is too little.
    """
    results = Path(config["pathvars"]["results"])
    stages = work(config, sizes(config), *trajectory(config))
    needed = {stage: sum(job["bytes"] for job in jobs) for stage, jobs in stages.items()}
    of_sources = needed["sources"] + needed["sets"] - _used(results, "sources", "sets", "pools")
    whole = sum(needed.values()) - _used(results, "")
    there = next(folder for folder in (results.absolute(), *results.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    found = f"{_gigabytes(free)} free; forecast: {_gigabytes(whole)} more, {_gigabytes(of_sources)} of it for sources"
    if free >= max(whole, of_sources):
        return Row(f"disk of {there}", found)
    verdict = MISSING if all_needed or free < of_sources else ADVICE
    return Row(
        f"disk of {there}", found, "free space, or set `pathvars: {results: ...}` to a folder elsewhere", verdict
    )


def _used(results: Path, *folders: str) -> int:
    files = (path for folder in folders for path in (results / folder).rglob("*"))
    return sum(path.stat().st_size for path in files if path.is_file())


def _gigabytes(size: float) -> str:
    return f"{max(size, 0) / 1e9:,.1f} GB"


def ask_machine(config: Mapping) -> Iterator[Row]:
    """Rows about GPUs, driver and libraries, shared memory."""
    there, build = devices.visible(), pytorch.ask()
    if config["device"] == "cuda":
        yield from _ask_gpus(config, there)
    usable = config["device"] != "cuda" or not there or not build.fault
    wrong = not build.version or not usable
    found = pytorch.describe(build)
    yield Row("PyTorch", found, pytorch.remedy(build) if wrong else "", MISSING if wrong else FINE)
    yield Row("Python, Snakemake", f"{platform.python_version()}, {importlib.metadata.version('snakemake')}")
    yield _ask_shared_memory(config, max(1, len(there) // config["detectors"]["gpus"]))


def _ask_gpus(config: Mapping, there: Sequence[str]) -> Iterator[Row]:
    per_job = config["detectors"]["gpus"]
    if len(there) < per_job:
        do = "run where GPUs are, or with `--workflow-profile profiles/slurm`"
        on_slurm = shutil.which("sbatch") is not None  # the nodes' GPUs are SLURM's to know
        yield Row("GPUs", f"{len(there)} here, and a job needs {per_job}", do, ADVICE if on_slurm else MISSING)
        return
    yield Row("GPUs", f"{len(there)}: type `--resources gpu={len(there)}`")
    batch, resolution = config["corruption"]["batch_size"], config["resolution"]
    needed, least, memory = gpu_memory(resolution, batch), gpu_memory(resolution, 1), _gpu_memory()
    if needed is None or memory is None:
        yield Row("memory of a GPU", "not known" if memory is None else f"{memory:.0f} GiB")
        return
    found = f"{memory:.0f} GiB; a corruption job takes about {needed:.0f} at corruption.batch_size {batch}"
    if memory >= needed:
        yield Row("memory of a GPU", found)
    elif memory >= least:
        yield Row("memory of a GPU", found, "lower it; else jobs halve it themselves", ADVICE)
    else:
        yield Row("memory of a GPU", found, f"take GPUs of {least:.0f} GiB or more", MISSING)


def _gpu_memory() -> float | None:
    """GiB of the smallest GPU."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
        return min(float(line) for line in said.splitlines()) / 1024
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _ask_shared_memory(config: Mapping, trainings: int) -> Row:
    """Batches pass from loading processes to the training through shared memory: four bytes a pixel, image and mask."""
    detectors = config["detectors"]
    batch = detectors["batch_size"] * config["resolution"] ** 2 * 4
    needed = trainings * (detectors["workers"] * AHEAD + 1) * batch if detectors["workers"] else 0  # 1: in use
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        free = 0
    found = f"{free / 1e6:,.0f} MB free in {SHARED_MEMORY}; {trainings} trainings at a time take {needed / 1e6:,.0f} MB"
    if free >= needed:
        return Row("shared memory", found)
    size = -(-2 * needed // 2**30)  # gibibytes, with as much again to spare
    do = f"start the container with `--shm-size={size}g`, or set detectors.workers to 0"
    return Row("shared memory", found, do, MISSING)


def require_sources(config: Mapping, wanted: Collection[str]) -> None:
    """Asks the sources of what is to be fetched, and the disk; prints what was found.

    Raises:
        UserError: something is missing, with a sentence for each.
    """
    rows = [*ask_sources(config, wanted), ask_disk(config, all_needed=False)]
    show(rows, Console(stderr=True, highlight=False))
    if missing := [row for row in rows if row.verdict == MISSING]:
        sentences = "\n".join(f"{row.asked}: {row.found}: {row.do}." for row in missing)
        raise UserError(f"{sentences}\nNothing was started; {SKIP}=1 in the environment starts without asking.")


def show(rows: Sequence[Row], console: Console) -> None:
    """Prints the rows as a table."""
    table = Table(title="Before the run", title_justify="left")
    for column in ("asked", "found", "what to do", ""):
        table.add_column(column, overflow="fold")
    for row in rows:
        style = {FINE: None, ADVICE: "yellow", MISSING: "bold red"}[row.verdict]
        table.add_row(*(escape(cell) for cell in row), style=style)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overlays", nargs="*", help="config files over config/config.yaml, as for --configfile")
    try:
        config = load(parser.parse_args(arguments).overlays)
        rows = [*ask_sources(config), ask_disk(config), *ask_machine(config)]
    except (UserError, OSError) as error:
        sys.exit(f"blemish, preflight: {explain(error)}")
    show(rows, Console(highlight=False, width=None if sys.stdout.isatty() else 140))
    sys.exit(any(row.verdict == MISSING for row in rows))


if __name__ == "__main__":
    main()

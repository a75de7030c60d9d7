"""How a script runs as a job: its log, its threads, its GPUs, its end."""

from __future__ import annotations

import glob
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from blemish.errors import explain
from blemish.jobs import devices, locks

_code = ""  # the fingerprint of the code that the job runs


def state(output: str | os.PathLike) -> Path:
    """The folder in which a job keeps what it would go on from: of this code alone, as another's results may differ.

    Snakemake, which does not know it, leaves it be.
    """
    output = Path(output)
    return output.with_name(f".{'.'.join(filter(None, (output.name, _code, 'state')))}")


def threads() -> int:
    """CPU threads that this process may keep busy: the rule's; outside a job, OMP_NUM_THREADS or all CPUs there are."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal():
        return max(1, int(given))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def run(snakemake) -> Iterator[None]:
    """Runs a script's body as a job: it holds the GPUs it was promised and uses the rule's threads.

    Everything printed goes to the rule's log file. Two of one job would share their state: while one lives on whose
    Snakemake was killed, the next waits. An error with a known cause outside the program ends the job with one
    sentence, in the log and on the terminal.
    """
    terminal = os.dup(2)
    reserve = bytearray(2**22)  # memory to explain an error with, where there is no other
    try:
        with _alone(snakemake, terminal):
            with open(snakemake.log[0], "w", buffering=1) as stream:
                os.dup2(stream.fileno(), 1)
                os.dup2(stream.fileno(), 2)
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
            _use_threads(snakemake.threads)
            _forget_other_code(snakemake)
            with devices.lease(snakemake.resources.get("gpu", 0), description=snakemake.rule):
                yield
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception as error:
        del reserve
        sentence = explain(error)
        if sentence is None:
            raise
        if logging.getLogger().handlers:  # the log could be opened
            logging.getLogger("blemish").error(sentence)
        os.write(terminal, f"blemish, {snakemake.rule}: {sentence}\n".encode())
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(1)  # all is closed; threads that lack memory would keep the interpreter from ending


def _alone(snakemake, terminal: int) -> AbstractContextManager[None]:
    """A lock beside the log, because Snakemake, which knows nothing of a job that lives on, removes its log."""

    def waiting() -> None:
        sentence = "the same job of a run that was killed is still at work: waiting for its end."
        os.write(terminal, f"blemish, {snakemake.rule}: {sentence}\n".encode())

    log = Path(snakemake.log[0])
    return locks.alone(log.with_name(f".{log.name}.lock"), waiting)


def _forget_other_code(snakemake) -> None:
    """Removes what the job's attempts with other code left to go on from."""
    global _code
    _code = snakemake.params.get("code", "")
    for output in map(Path, snakemake.output):
        for folder in output.parent.glob(f".{glob.escape(output.name)}.*state"):
            if folder != state(output):
                shutil.rmtree(folder)


def _use_threads(threads: int) -> None:
    """Two processes with two threads each on two cores run many times slower than with one each."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)

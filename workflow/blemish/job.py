"""What every job shares: threads, its log, errors a person can read, files that are whole or absent."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from blemish import devices, locks

_UMASK = os.umask(0)  # there is no other way to read it
os.umask(_UMASK)
MEND = "mend that and start again; what was finished is kept."
NO_MEMORY = (
    "allocate memory",  # PyTorch, and the linker while libraries are loaded
    "std::bad_alloc",
    "can't start new thread",
    "launch worker thread",
    "is killed by signal: Killed",  # a process that reads data for PyTorch
    "process pool was terminated abruptly",
)
NO_DISK = {
    "No space left on device": "no space is left on the disk",
    "Disk quota exceeded": "the disk quota is used up",
    "Read-only file system": "the file system is read-only",
    "PytorchStreamWriter failed": "a checkpoint could not be written whole, most likely because the disk is full",
}


class UserError(Exception):
    """A user's mistake or the outside world's fault: one sentence says what, where and what to do."""


@contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a private name beside `path`; renames it to `path` if the block succeeds, removes it if not.

    The name carries the process id: a job left over from a killed run cannot write into the same file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)  # safetensors makes files that nobody else may read
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text as UTF-8, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a private empty folder beside `path`; puts it in the place of `path` if the block succeeds."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def state(output: str | os.PathLike) -> Path:
    """The folder in which a job keeps what it would go on from; Snakemake, which does not know it, leaves it be."""
    output = Path(output)
    return output.with_name(f".{output.name}.state")


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
            with open(snakemake.log[0] if snakemake.log else os.devnull, "w", buffering=1) as stream:
                os.dup2(stream.fileno(), 1)
                os.dup2(stream.fileno(), 2)
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
            _use_threads(snakemake.threads)
            if settings := snakemake.input.get("settings"):
                _end_other_settings(Path(settings))
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


def explain(error: BaseException) -> str | None:
    """The one sentence for an error that has a known cause outside the program, None for a fault of the program.

    Libraries that are not written in Python tell of full disks and memories in errors of their own.
    """
    if isinstance(error, UserError):
        return str(error)
    text = str(error)
    no_memory = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if no_memory or any(sign in text for sign in NO_MEMORY):
        return "the machine's memory is used up: give the job more, or lower its batch size in the config."
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}: {MEND}" if error.strerror else text
    for sign, sentence in NO_DISK.items():
        if sign in text:
            return f"{sentence}: {MEND}"
    return None


def _alone(snakemake, terminal: int) -> AbstractContextManager[None]:
    """A lock beside the log, because Snakemake, which knows nothing of a job that lives on, removes its log."""
    if not snakemake.log:
        return nullcontext()

    def waiting() -> None:
        sentence = "the same job of a run that was killed is still at work: waiting for its end."
        os.write(terminal, f"blemish, {snakemake.rule}: {sentence}\n".encode())

    log = Path(snakemake.log[0])
    return locks.alone(log.with_name(f".{log.name}.lock"), waiting)


def _end_other_settings(settings: Path) -> None:
    """Removes what `provenance.note` wrote for other settings of this kind of job: its results end them."""
    for other in settings.parent.glob("*.json"):
        if other.name != settings.name:
            other.unlink(missing_ok=True)


def _use_threads(threads: int) -> None:
    """Two processes with two threads each on two cores run many times slower than with one each."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)

"""The error that is a user's to mend, and the one sentence for every error with a cause outside the program."""

from __future__ import annotations

import errno

MEND = "fix that and run again; what was finished is kept."
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

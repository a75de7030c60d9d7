"""Repositories of the Hugging Face hub, or local folders of the same layout (`file:folder`).

A remote file is read in ranges, each asked for again until the network or the server is back. Addresses may carry
tokens after a `?`, which come neither into messages nor into logs.
HF_TOKEN, HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and proxies are read by the hub's client.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from blemish.data.files import atomic_folder, read_json, write_text
from blemish.errors import UserError
from blemish.sources.fetch import local_path
from blemish.sources.http import public
from blemish.sources.settings import Model, Repository

# The components that `diffusion.Diffusion` loads, in full precision: not their other copies in the repository.
COMPONENTS = ("vae", "unet", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
FILES = ("*.json", "*.txt", "diffusion_pytorch_model*.safetensors", "model*.safetensors")
PATTERNS = ["model_index.json", *(f"{part}/{file}" for part in COMPONENTS for file in FILES)]
OTHER_COPIES = ["*.fp16*.safetensors", "*.non_ema*.safetensors"]

WAITS = (1, 2, 4, 8, 15, 30, 60, 60, 60)  # seconds, on top of the few seconds that the hub's client retries itself
PASSING = (408, 425, 429, 500, 502, 503, 504)
ANSWERS = {
    401: "its licence is not accepted, or the token is missing or wrong: accept its terms on its page and set HF_TOKEN",
    403: "the token gives no access: accept its terms on its page and set HF_TOKEN to one that may read it",
    404: "a file is missing there: check `repo` and `revision` in the config",
}

logger = logging.getLogger("blemish.hub")

Repo = TypeVar("Repo", bound=Repository)


def pin(source: Repo) -> Repo:
    """A data set at the commit that its revision names now, so that all is read from one; a local one as it is."""
    if local_path(source.repo) is not None:
        return source
    from huggingface_hub import HfApi

    with _explained(source):
        commit = HfApi().dataset_info(source.repo, revision=source.revision).sha
    return source.model_copy(update={"revision": commit})


def record_commit(source: Repository, commit: str | None, made: str | os.PathLike) -> None:
    """Records in `<made>.commit.json` the commit that was fetched, and says if that of the last fetch was another.

    Args:
        source: as the config has it; nothing is recorded of a local one.
        commit: the one that was fetched.
        made: what was made of it.

    Raises:
        UserError: the record of the last fetch is damaged.
    """
    if local_path(source.repo) is not None:
        return
    ledger = Path(f"{made}.commit.json")
    last = read_json(ledger, ["repo", "commit"]) if ledger.exists() else {}
    if last.get("repo") == source.repo and last["commit"] != commit != source.revision:
        logger.warning(
            "%s is at commit %s and was at %s when it was fetched last: what is made of it may differ; to keep one, "
            "name it as `revision` in the config.",
            *(source.repo, commit, last["commit"]),
        )
    write_text(ledger, json.dumps({"repo": source.repo, "commit": commit}) + "\n")


def list_files(source: Repository, *patterns: str) -> list[str]:
    """Paths within a data set's `repo` that match the first of the patterns that any path matches, sorted.

    Raises:
        UserError: the repository or folder is missing, or nothing in it matches.
    """
    from huggingface_hub.utils import filter_repo_objects

    folder = local_path(source.repo)
    if folder is not None:
        names = _files_below(folder)
    else:
        from huggingface_hub import HfApi

        with _explained(source):
            names = HfApi().list_repo_files(source.repo, revision=source.revision, repo_type="dataset")
    for pattern in patterns:
        if found := sorted(filter_repo_objects(names, allow_patterns=pattern)):
            return found
    raise UserError(f"{source.repo} holds nothing like {' or '.join(patterns)}: check `repo` in the config.")


@contextmanager
def open_file(source: Repository, name: str) -> Iterator[BinaryIO]:
    """Opens one file of a data set for reading; a remote one is read in ranges, nothing is stored."""
    folder = local_path(source.repo)
    if folder is not None:
        with open(folder / name, "rb") as file:
            yield file
        return
    from huggingface_hub import HfFileSystem

    path = f"datasets/{source.repo}/{name}"
    with _explained(source), HfFileSystem().open(path, "rb", revision=source.revision, cache_type="none") as file:
        yield _Patient(file)


def fetch_model(source: Model, destination: Path) -> None:
    """Brings a diffusers pipeline's configs, tokenizers and networks to a folder, all or none; without pickles.

    A remote model goes through the hub's cache (HF_HOME), from which it is hard-linked where that is possible.

    Raises:
        UserError: the model cannot be fetched.
    """
    from huggingface_hub.utils import filter_repo_objects

    wanted = {"allow_patterns": PATTERNS, "ignore_patterns": OTHER_COPIES}
    folder, bring = local_path(source.repo), shutil.copyfile
    if folder is None:
        from huggingface_hub import snapshot_download

        with _explained(source):
            folder, bring = Path(snapshot_download(source.repo, revision=source.revision, **wanted)), _link
        logger.info("%s at commit %s", source.repo, folder.name)
    names = list(filter_repo_objects(_files_below(folder), **wanted))
    if "model_index.json" not in names:
        raise UserError(
            f"{source.repo} is not a diffusers pipeline, it lacks model_index.json: check `repo` in the config."
        )
    with atomic_folder(destination) as temporary:
        for name in names:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            bring(folder / name, temporary / name)
    record_commit(source, folder.name, destination)


def _files_below(folder: Path) -> list[str]:
    """Paths of the files below a folder, relative to it; symbolic links must not lead out of it.

    A link into the blobs of the hub cache that the folder is part of (models--x/snapshots/y) stays within.
    """
    if not folder.is_dir():
        raise UserError(f"the folder {folder}, which the config names as a source, is missing: put it there.")
    root = folder.resolve()
    roots = [root, root.parents[1] / "blobs"] if root.parent.name == "snapshots" else [root]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if not any(path.resolve().is_relative_to(allowed) for allowed in roots):
            raise UserError(f"{path} is a link that leads out of {folder}: put the file itself there.")
    return [path.relative_to(folder).as_posix() for path in files]


def _link(source: Path, destination: Path) -> None:
    try:
        os.link(source.resolve(), destination)
    except OSError:
        shutil.copyfile(source, destination)


@contextmanager
def _explained(source: Repository) -> Iterator[None]:
    """Turns the hub's errors into one sentence, and keeps addresses out of its client's log."""
    from huggingface_hub.utils import logging as client

    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it notes every address
    client.disable_propagation()
    for handler in client.get_logger().handlers:
        handler.addFilter(_make_public)
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if sentence := _sentence(error):
            where = f"{source.repo} at revision {source.revision or 'main'}"
            raise UserError(f"{where} {sentence}.") from error
        raise


def _make_public(record: logging.LogRecord) -> bool:
    record.msg, record.args = public(record.getMessage()), ()
    return True


def _sentence(error: Exception) -> str | None:
    """What is wrong at the hub or on the way there, and what to do; None for an error of another kind."""
    from huggingface_hub import errors

    causes = list(_causes(error))

    def caused_by(*kinds: type[Exception]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    answer = next((c.response for c in causes if getattr(c, "response", None) is not None), None)
    if answer is not None:
        status = answer.status_code
        if caused_by(errors.GatedRepoError):
            return f"is gated and answers {status}: {ANSWERS.get(status, ANSWERS[403])}"
        if caused_by(errors.RepositoryNotFoundError):
            return f"answers {status}: it is not there, or not for you: check `repo` in the config, or set HF_TOKEN"
        if caused_by(errors.RevisionNotFoundError):
            return f"answers {status}: it does not have this revision: give another in the config"
        what = ANSWERS.get(status, "start again when the network or the hub is back")
        return f"answers {status} {answer.reason_phrase}: {what}"
    if caused_by(errors.OfflineModeIsEnabled):
        return (
            "is not in the cache, and HF_HUB_OFFLINE is set: run `snakemake sources` where there is a network, "
            "or unset HF_HUB_OFFLINE"
        )
    if caused_by(ssl.SSLCertVerificationError):
        return f"cannot be reached, as its certificate is not trusted ({public(causes[-1])}): install the certificate"
    if may_pass(error) or isinstance(error, errors.LocalEntryNotFoundError):
        return f"cannot be reached, as {_reason(causes[-1])}: start again when the network or the hub is back"
    return None


def _reason(error: BaseException) -> str:
    """Why nothing came, in words, from the innermost error."""
    import httpx2

    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return "it does not answer in time"
    if isinstance(error, socket.gaierror):
        return "no machine of its name is known"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails ({public(error)})"
    return public(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__  # even of what is raised "from None", as the client does


class _Patient:
    """A file of fsspec (opened with `cache_type="none"`, so that a range is one request) whose `read` asks again."""

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name: str):
        return getattr(self._file, name)

    def read(self, length: int = -1) -> bytes:
        start = self._file.tell()
        left = max(0, self._file.size - start)
        wanted = left if length < 0 else min(length, left)
        for wait in (*WAITS, None):
            try:
                self._file.seek(start)
                content = self._file.read(wanted) if wanted else b""
                if len(content) == wanted:
                    return content
                fault = f"{len(content):,} of {wanted:,} bytes came"
            except Exception as error:
                if not may_pass(error):
                    raise
                fault = public(error) or type(error).__name__
            if wait is None:
                break
            logger.warning("%s at byte %d: %s; again in %d s", self._file.path, start, fault, wait)
            time.sleep(wait)
        raise UserError(
            f"{self._file.path} failed {len(WAITS) + 1} times in a row at byte {start:,} ({fault}): start again "
            "when the network or the server is back."
        )


def may_pass(error: Exception) -> bool:
    """Whether a fault of the hub's client is one of the network or of a busy server; a wrong certificate is not."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return error.response is not None and error.response.status_code in PASSING
    if any(isinstance(cause, OfflineModeIsEnabled | ssl.SSLCertVerificationError) for cause in _causes(error)):
        return False
    return isinstance(error, httpx2.TransportError | TimeoutError | ConnectionError)

"""Repositories of the Hugging Face hub, or local folders of the same layout (`file:folder`).

A remote file is read in ranges, each asked for again until the network or the server is back.
HF_TOKEN, HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and proxies are read by the hub's client.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from blemish.data.files import atomic_folder
from blemish.errors import UserError
from blemish.sources.fetch import local_path
from blemish.sources.settings import Model, Repository

# The components that `diffusion.Diffusion` loads, in full precision: not their other copies in the repository.
COMPONENTS = ("vae", "unet", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
FILES = ("*.json", "*.txt", "diffusion_pytorch_model*.safetensors", "model*.safetensors")
PATTERNS = ["model_index.json", *(f"{part}/{file}" for part in COMPONENTS for file in FILES)]
OTHER_COPIES = ["*.fp16*.safetensors", "*.non_ema*.safetensors"]

WAITS = (1, 2, 4, 8, 15, 30, 60, 60, 60)  # seconds, on top of the few seconds that the hub's client retries itself
PASSING = (408, 425, 429, 500, 502, 503, 504)

logger = logging.getLogger("blemish.hub")


def list_files(source: Repository, pattern: str) -> list[str]:
    """Paths within a data set's `repo` that match `pattern`, sorted.

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
    found = sorted(filter_repo_objects(names, allow_patterns=pattern))
    if not found:
        raise UserError(f"{source.repo} holds nothing like {pattern}: check `repo` in the config.")
    return found


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
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import filter_repo_objects

    wanted = {"allow_patterns": PATTERNS, "ignore_patterns": OTHER_COPIES}
    folder, bring = local_path(source.repo), shutil.copyfile
    if folder is None:
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
    """Turns the hub's errors into one sentence."""
    from huggingface_hub import errors

    where = f"{source.repo} at revision {source.revision or 'main'}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise UserError(f"{where} is gated: accept its terms on its page and set HF_TOKEN.") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"{where} is not there, or not for you: check `repo` in the config, or set HF_TOKEN."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{where} does not have this revision: give another in the config.") from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise UserError(
            f"{where} cannot be reached: run `snakemake sources` where there is a network, or unset HF_HUB_OFFLINE."
        ) from error
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise UserError(f"{where} answers {status}: accept its terms on its page and set HF_TOKEN.") from error
        if isinstance(error, errors.HfHubHTTPError) or may_pass(error):
            raise UserError(
                f"{where} cannot be fetched ({error}): start again when the network or the hub is back."
            ) from error
        raise


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
                fault = str(error) or type(error).__name__
            if wait is None:
                break
            logger.warning("%s at byte %d: %s; again in %d s", self._file.path, start, fault, wait)
            time.sleep(wait)
        raise UserError(
            f"{self._file.path} failed {len(WAITS) + 1} times in a row at byte {start:,} ({fault}): start again "
            "when the network or the server is back."
        )


def may_pass(error: Exception) -> bool:
    """Whether a fault of the hub's client is one of the network or of a busy server."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return error.response is not None and error.response.status_code in PASSING
    return isinstance(error, httpx2.TransportError | TimeoutError | ConnectionError) and not isinstance(
        error, OfflineModeIsEnabled
    )

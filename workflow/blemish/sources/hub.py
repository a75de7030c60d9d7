"""Repositories of the Hugging Face hub, or local folders of the same layout (`file:folder`).

HF_TOKEN, HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and proxies are the hub client's own business.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from blemish.job import UserError, atomic_folder
from blemish.sources.files import local_path
from blemish.sources.patient import Patient, may_pass

# The components that `diffusion.Diffusion` loads, in full precision: not their other copies in the repository.
COMPONENTS = ("vae", "unet", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
FILES = ("*.json", "*.txt", "diffusion_pytorch_model*.safetensors", "model*.safetensors")
PATTERNS = ["model_index.json", *(f"{part}/{file}" for part in COMPONENTS for file in FILES)]
OTHER_COPIES = ["*.fp16*.safetensors", "*.non_ema*.safetensors"]

logger = logging.getLogger("blemish.hub")


def list_files(source: Mapping, pattern: str) -> list[str]:
    """Paths within a data set's `repo` that match `pattern`, sorted.

    Raises:
        UserError: there is no such repository or folder, or nothing in it matches.
    """
    folder = local_path(source["repo"])
    if folder is not None:
        names = _files_below(folder)
    else:
        from huggingface_hub import HfApi

        with _explained(source):
            names = HfApi().list_repo_files(source["repo"], revision=source.get("revision"), repo_type="dataset")
    found = sorted(name for name in names if fnmatch.fnmatch(name, pattern))
    if not found:
        raise UserError(f"{source['repo']} holds nothing like {pattern}: check `repo` in the config.")
    return found


@contextmanager
def open_file(source: Mapping, name: str) -> Iterator[BinaryIO]:
    """Opens one file of a data set for reading; a remote one is read in ranges, nothing is stored."""
    folder = local_path(source["repo"])
    if folder is not None:
        with open(folder / name, "rb") as file:
            yield file
        return
    from huggingface_hub import HfFileSystem

    path = f"datasets/{source['repo']}/{name}"
    with (
        _explained(source),
        HfFileSystem().open(path, "rb", revision=source.get("revision"), cache_type="none") as file,
    ):
        yield Patient(file)


def fetch_model(source: Mapping, destination: Path) -> None:
    """Brings a diffusers pipeline's configs, tokenizers and networks to a folder, all or none; pickles stay out.

    A remote model goes through the hub's cache (HF_HOME), from which it is hard-linked where that is possible.

    Raises:
        UserError: the model is not to be had; the sentence says what to do.
    """
    folder = local_path(source["repo"])
    if folder is None:
        from huggingface_hub import snapshot_download

        with _explained(source):
            folder = Path(
                snapshot_download(
                    source["repo"],
                    revision=source.get("revision"),
                    allow_patterns=PATTERNS,
                    ignore_patterns=OTHER_COPIES,
                )
            )
        logger.info("%s at commit %s", source["repo"], folder.name)
        bring = _link
    else:
        bring = shutil.copyfile
    names = [name for name in _files_below(folder) if _is_wanted(name)]
    if "model_index.json" not in names:
        raise UserError(f"{source['repo']} holds no model_index.json: it is no diffusers pipeline.")
    with atomic_folder(destination) as temporary:
        for name in names:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            bring(folder / name, temporary / name)


def _is_wanted(name: str) -> bool:
    wanted = any(fnmatch.fnmatch(name, pattern) for pattern in PATTERNS)
    return wanted and not any(fnmatch.fnmatch(name, pattern) for pattern in OTHER_COPIES)


def _files_below(folder: Path) -> list[str]:
    """Paths of the files below a folder, relative to it; symbolic links must not lead out of it.

    A link into the blobs of the hub cache that the folder is part of (models--x/snapshots/y) stays within.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}, which the config names as a source: put it there.")
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
def _explained(source: Mapping) -> Iterator[None]:
    """Turns the hub's errors into one sentence."""
    from huggingface_hub import errors

    where = f"{source['repo']} at revision {source.get('revision') or 'main'}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise UserError(f"{where} is gated: accept its terms on its page and set HF_TOKEN.") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"{where} is not there, or not for you: check `repo` in the config, or set HF_TOKEN."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{where}: there is no such revision; give another in the config.") from error
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

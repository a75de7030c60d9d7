"""Repositories of the Hugging Face hub, or local folders of the same layout (`file:folder`)."""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from blemish.job import UserError
from blemish.sources.files import atomic_folder, local_path

# The components that `diffusion.Diffusion` loads, in full precision: not their other copies in the repository.
COMPONENTS = ("vae", "unet", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
FILES = ("*.json", "*.txt", "diffusion_pytorch_model*.safetensors", "model*.safetensors")
PATTERNS = ["model_index.json", *(f"{part}/{file}" for part in COMPONENTS for file in FILES)]


def list_files(source: Mapping, pattern: str, kind: str = "dataset") -> list[str]:
    """Paths within a source's `repo` that match `pattern`, sorted.

    Raises:
        UserError: there is no such repository or folder, or nothing in it matches.
    """
    folder = local_path(source["repo"])
    if folder is not None:
        names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    else:
        from huggingface_hub import HfApi

        with _explained(source):
            names = HfApi().list_repo_files(source["repo"], revision=source.get("revision"), repo_type=kind)
    found = sorted(name for name in names if fnmatch.fnmatch(name, pattern))
    if not found:
        raise UserError(f"{source['repo']} holds nothing like {pattern}: check `repo` in the config.")
    return found


@contextmanager
def open_file(source: Mapping, name: str, kind: str = "dataset"):
    """Opens one file of a data set for reading; a remote one is read in ranges, nothing is stored."""
    folder = local_path(source["repo"])
    if folder is not None:
        with open(folder / name, "rb") as file:
            yield file
        return
    from huggingface_hub import HfFileSystem

    file: BinaryIO
    with (
        _explained(source),
        HfFileSystem().open(f"{kind}s/{source['repo']}/{name}", "rb", revision=source.get("revision")) as file,
    ):
        yield file


def fetch_model(source: Mapping, destination: Path) -> None:
    """Brings a diffusers pipeline's configs, tokenizers and networks to a folder, all or none; pickles stay out.

    Raises:
        UserError: the model is not to be had; the sentence says what to do.
    """
    folder = local_path(source["repo"])
    with atomic_folder(destination) as temporary:
        if folder is None:
            from huggingface_hub import snapshot_download

            with _explained(source):
                snapshot_download(
                    source["repo"],
                    revision=source.get("revision"),
                    allow_patterns=PATTERNS,
                    local_dir=temporary,
                )
            shutil.rmtree(temporary / ".cache", ignore_errors=True)
            return
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}, which the config names as a source: put it there.")
        for name in sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()):
            if any(fnmatch.fnmatch(name, pattern) for pattern in PATTERNS):
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, temporary / name)


@contextmanager
def _explained(source: Mapping):
    """Turns the hub's errors into one sentence."""
    from huggingface_hub import errors

    where = f"{source['repo']} at revision {source.get('revision') or 'main'}"
    try:
        yield
    except errors.GatedRepoError:
        raise UserError(f"{where} is gated: accept its terms on its page and set HF_TOKEN.") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"{where} is not there or not for you: check `repo` in the config, or set HF_TOKEN.") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{where}: there is no such revision; give another in the config.") from None
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError):
        raise UserError(
            f"{where} cannot be reached: run `snakemake sources` where there is a network, or unset HF_HUB_OFFLINE."
        ) from None
    except errors.HfHubHTTPError as error:
        raise UserError(f"{where} cannot be fetched: {error}") from None

"""What sources say of their files without sending them: are they there, may they be had, how large are they.

Some of the hub's names that are used here are its own: public spellings would make every finished download stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from blemish.errors import UserError
from blemish.sources import hps, hub, richhf_images
from blemish.sources.fetch import local_path
from blemish.sources.http import WHAT_TO_DO, public
from blemish.sources.settings import HPS, File, Images, Model, Repository

TIMEOUT = (5, 10)  # seconds to connect, and to begin an answer
SHA256_HEADERS = ("X-Linked-ETag", "X-Checksum-Sha256")  # of the hub's large files, and of some mirrors
IN_NAME = re.compile(r"-([0-9a-f]{8})\.pth$")  # the start of the SHA-256, as OpenMMLab names its files


class Passing(UserError):
    """A fault that a download would wait out."""


def file(source: File) -> str:
    """What is known of one file, which is as the config says.

    Raises:
        UserError: it is not there, may not be had, or is another; `Passing` if that may change by itself.
    """
    local = local_path(source.url)
    if local is not None:
        if not local.is_file():
            raise UserError(f"the file {local}, which the config names as a source, is missing: put it there.")
        size, digest = local.stat().st_size, None
    else:
        size, digest = _head(source.url)
    address, correct = public(source.url), "name another mirror, or correct the size and hash in the config"
    if None not in (size, source.bytes) and size != source.bytes:
        raise UserError(f"{address} has {size:,} bytes and should have {source.bytes:,}: {correct}.")
    if digest and source.sha256 and not digest.startswith(source.sha256[: len(digest)]):
        raise UserError(f"the SHA-256 of {address} begins with {digest[:12]} and should be {source.sha256}: {correct}.")
    return "it is there" if size is None else f"{_size(size)}{', its hash is the expected one' * bool(digest)}"


def images(source: Images, split: str) -> str:
    """What is known of the files of one split of the first mirror of RichHF-18k's images that answers.

    Raises:
        UserError: what the first one answers, if none has them.
    """
    faults = []
    for mirror in richhf_images.mirrors(source):
        try:
            with _told(mirror):
                names = richhf_images.list_files(mirror, split)
                used = f" of {mirror.repo}" if faults else ""
                return f"{len(names)} files of {split}{used}{_access(mirror, names[0], 'dataset')}"
        except UserError as error:
            faults.append(error)
    raise faults[0]


def tars(source: HPS) -> str:
    """What is known of the tars of HPS."""
    with _told(source):
        names = hps.list_tars(source)
        return f"{source.tars} of {len(names)} tars are to be read{_access(source, names[0], 'dataset')}"


def model(source: Model) -> str:
    """What is known of the files of a diffusers pipeline that would be fetched."""
    from huggingface_hub.utils import filter_repo_objects

    try:
        with _told(source):
            sizes = _sizes(source)
            names = [*filter_repo_objects(sizes, allow_patterns=hub.PATTERNS, ignore_patterns=hub.OTHER_COPIES)]
            if "model_index.json" not in names:
                raise UserError(
                    f"{source.repo} is not a diffusers pipeline, it lacks model_index.json: check `repo` in the config."
                )
            largest = max(names, key=lambda name: sizes[name] or 0)
            known = [size for name in names if (size := sizes[name]) is not None]
            whole = f", {_size(sum(known))}" if known else ""
            return f"{len(names)} files{whole}{_access(source, largest, 'model')}"
    except UserError:
        if local_path(source.repo) is None and _is_cached(source):
            return "it is in the hub's cache"
        raise


def _sizes(source: Model) -> dict[str, int | None]:
    """File -> bytes; None where the hub does not tell."""
    folder = local_path(source.repo)
    if folder is not None:
        return {name: (folder / name).stat().st_size for name in hub._files_below(folder)}
    from huggingface_hub import HfApi

    about = HfApi().model_info(source.repo, revision=source.revision, files_metadata=True, timeout=TIMEOUT[1])
    return {entry.rfilename: entry.size for entry in about.siblings or []}


def _is_cached(source: Model) -> bool:
    """Whether the hub's cache holds a model's networks, so that it is made without a network."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(source.repo, revision=source.revision, local_files_only=True))
    except (OSError, ValueError):  # of which LocalEntryNotFoundError is one
        return False
    return all(any((folder / part).glob("*.safetensors")) for part in ("unet", "vae"))


def _access(source: Repository, name: str, kind: str) -> str:
    """Asks for one file as a download would: a gated repository shows its list to all, its files only to some."""
    if local_path(source.repo) is not None:
        return ""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(source.repo, name, repo_type=kind, revision=source.revision)
    about = get_hf_file_metadata(url, timeout=TIMEOUT[1])
    return f"; {name} may be had" + (f", {_size(about.size)}" if about.size else "")


@contextmanager
def _told(source: Repository) -> Iterator[None]:
    """The hub's faults as its own sentences, those that pass by themselves as `Passing`."""
    try:
        with hub._explained(source):
            yield
    except UserError as error:
        status = getattr(getattr(error.__cause__, "response", None), "status_code", None)
        if status in hub.PASSING:
            raise Passing(str(error)) from error
        raise


def _head(url: str) -> tuple[int | None, str | None]:
    """The size of a file and what is known of its SHA-256 (a beginning of it), as far as the server tells."""
    headers = {"Accept-Encoding": "identity"}
    try:
        with requests.Session() as session:
            answer = session.head(url, headers=headers, timeout=TIMEOUT, allow_redirects=True)
            if answer.status_code in (403, 405, 501):  # some sign addresses for GET alone, some know no HEAD
                answer = session.get(url, headers=headers, timeout=TIMEOUT, stream=True)
                answer.close()
    except requests.exceptions.SSLError as error:
        raise UserError(
            f"the certificate of {public(url)} is not trusted ({public(error)}): install it, or name another mirror."
        ) from error
    except requests.RequestException as error:
        if isinstance(error, ValueError):  # how requests marks an address that cannot be right
            raise UserError(
                f"{public(url)} is not an address to download from ({public(error)}): correct it in the config."
            ) from error
        *_, innermost = hub._causes(error)
        raise UserError(
            f"{public(url)} cannot be reached, as {hub._reason(innermost)}: see to the network or its proxy, or name "
            "another mirror in the config."
        ) from error
    status = answer.status_code
    if status in hub.PASSING:
        raise Passing(f"{public(url)} answers {status}: the download waits for a while until it is over.")
    if status >= 400:
        what = WHAT_TO_DO.get(status, "correct the address in the config, or name another mirror")
        raise UserError(f"{public(url)} answers {status}: {what}.")
    length = answer.headers.get("Content-Length", "")
    told = (a.headers.get(name, "").strip('W/"') for a in (*answer.history, answer) for name in SHA256_HEADERS)
    whole = next((text.lower() for text in told if re.fullmatch("[0-9a-fA-F]{64}", text)), None)
    named = IN_NAME.search(url)
    return int(length) if length.isdigit() else None, whole or (named[1] if named else None)


def _size(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"

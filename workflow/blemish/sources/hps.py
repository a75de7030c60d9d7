"""HPS (§4.1): clean images drawn by seed from WebDataset tars, each tar streamed once and nothing else kept."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from blemish.job import UserError, atomic
from blemish.records import Record, write_shards
from blemish.sources import hub
from blemish.sources.framing import crop, scale

log = logging.getLogger(__name__)

IMAGES = (".jpg", ".jpeg", ".png")
LARGEST = 64 * 2**20  # bytes of a member that is read
APART = 64  # samples whose image or JSON is still to come; a WebDataset writes both one after the other


class Drawn(NamedTuple):
    """One drawn sample, as it stood in its tar."""

    tar: str
    key: str
    member: str
    content: bytes
    prompt: str


def draw(source: Mapping, number: int, seed: int, size: int, pool: Sequence[Path], ledger: Path) -> None:
    """Draws `number` images: `source["tars"]` tars by seed, an equal share of the images from each.

    Args:
        source: repo, revision, tars, prompt (which caption).
        size: images become size x size: the shorter side scaled, the longer one cropped at its centre.
        pool: shards to write.
        ledger: CSV to write: tar, member, sha256, width, height, id of each drawn image.

    Raises:
        UserError: the tars are not there, or hold too few images.
    """
    rng = np.random.default_rng(seed)
    tars = hub.list_files(source, "data/*.tar")
    if len(tars) < source["tars"]:
        raise UserError(f"{source['repo']} has {len(tars)} tars, and sources.hps.tars asks for {source['tars']}.")
    chosen = sorted(rng.choice(tars, size=source["tars"], replace=False).tolist())
    shares = [number // len(chosen) + (i < number % len(chosen)) for i in range(len(chosen))]
    with atomic(ledger) as temporary, open(temporary, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("tar", "member", "sha256", "width", "height", "id"))

        def records() -> Iterator[Record]:
            for tar, share in zip(chosen, shares, strict=True):
                for drawn in _reservoir(source, tar, share, np.random.default_rng((seed, tars.index(tar)))):
                    with Image.open(io.BytesIO(drawn.content)) as image:
                        width, height = image.size
                        pixels = crop(scale(image, size), size)
                    digest = hashlib.sha256(drawn.content).hexdigest()
                    id_ = f"{PurePosixPath(tar).stem}-{digest[:16]}"
                    rows.writerow((tar, drawn.member, digest, width, height, id_))
                    yield Record(id_, pixels, None, drawn.prompt, source=f"hps:{tar}/{drawn.member}")

        write_shards(pool, records())


def _reservoir(source: Mapping, tar: str, share: int, rng: np.random.Generator) -> list[Drawn]:
    """`share` samples of a tar, each as likely as any other (reservoir sampling), in the tar's order."""
    kept: dict[int, tuple[int, Drawn]] = {}
    seen = 0
    with hub.open_file(source, tar) as stream:
        for sample in _samples(stream, tar, source["prompt"]):
            slot = seen if seen < share else int(rng.integers(seen + 1))
            if slot < share:
                kept[slot] = (seen, sample)
            seen += 1
    log.info("%s: %d samples, %d drawn", tar, seen, len(kept))
    if len(kept) < share:
        raise UserError(
            f"{tar} of {source['repo']} holds {seen} usable samples and {share} are to be drawn: "
            "raise sources.hps.tars or lower pools.hps.count."
        )
    return [sample for _, sample in sorted(kept.values(), key=lambda item: item[0])]


def _samples(stream, tar: str, caption: str) -> Iterator[Drawn]:
    """The tar's image and JSON pairs. Members that are not plain files of a plain name are never touched."""
    waiting: dict[str, dict[str, bytes]] = {}
    done: set[str] = set()
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if not member.isfile() or path.is_absolute() or ".." in path.parts or member.size > LARGEST:
                if not member.isdir():
                    log.warning("%s: member %r skipped: no plain file", tar, member.name)
                continue
            key, suffix = path.with_suffix("").as_posix(), path.suffix.lower()
            if suffix not in (*IMAGES, ".json"):
                continue
            if key in done or suffix in waiting.get(key, {}):
                log.warning("%s: member %r skipped: a duplicate", tar, member.name)
                continue
            parts = waiting.setdefault(key, {})
            if len(waiting) > APART:
                lone, rest = next(iter(waiting.items()))
                del waiting[lone]
                log.warning("%s: %r skipped: it has only %s", tar, lone, ", ".join(rest))
            parts[suffix] = archive.extractfile(member).read()
            if ".json" in parts and len(parts) == 2:
                image = next(s for s in parts if s != ".json")
                del waiting[key]
                done.add(key)
                sample = _sample(tar, key, image, parts, caption)
                if sample:
                    yield sample
    for key, parts in waiting.items():
        log.warning("%s: %r skipped: it has only %s", tar, key, ", ".join(parts))


def _sample(tar: str, key: str, suffix: str, parts: Mapping[str, bytes], caption: str) -> Drawn | None:
    try:
        about = json.loads(parts[".json"])
        prompt = about[caption] or ""
        with Image.open(io.BytesIO(parts[suffix])) as image:
            image.verify()
    except (KeyError, TypeError, ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        log.warning("%s: %r skipped: %s", tar, key, error)
        return None
    return Drawn(tar, key, key + suffix, parts[suffix], str(prompt))

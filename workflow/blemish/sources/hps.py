"""HPS (§4.1): clean images drawn by seed from WebDataset tars, each tar streamed once and nothing else kept.

Three kinds of jobs: `choose` names the tars, `draw` takes one tar's share, `deal` makes shards of all shares.

Every sample has a priority, a hash of seed, tar and key; those of the lowest priorities are drawn. So the draw
is uniform, depends on nothing but the seed and the files, and a broken image is replaced by the next in line.
"""

from __future__ import annotations

import csv
import hashlib
import heapq
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from blemish.data.files import atomic, escape_spreadsheet, read_json, write_text
from blemish.data.images import decode_rgb
from blemish.data.records import Record, clean, is_id, read_records, write_records, write_shards
from blemish.errors import UserError
from blemish.sources import hub
from blemish.sources.framing import crop, scale
from blemish.sources.settings import HPS
from blemish.sources.webdataset import Sample, Skipped, read_samples

LEDGER = ("tar", "member", "sha256", "width", "height", "id", "source")  # the last is what its JSON says, or empty

logger = logging.getLogger("blemish.hps")


def list_tars(source: HPS) -> list[str]:
    """Paths within the data set of its tars.

    Raises:
        UserError: they are fewer than are to be read, or what `hub.list_files` raises.
    """
    tars = hub.list_files(source, "data/*.tar")
    if len(tars) < source.tars:
        raise UserError(f"{source.repo} has {len(tars)} tars, and sources.hps.tars asks for {source.tars}.")
    return tars


def choose(source: HPS, count: int, seed: int, out: str | PathLike) -> None:
    """Chooses `source.tars` tars by seed, and the commit that all of them are read from.

    Args:
        source: the data set.
        count: images in all, an equal share from each tar.
        seed: of the choice.
        out: JSON to write for `draw`: the commit, and tars with their shares in the order of their names.

    Raises:
        UserError: tars are missing, or have names that ids cannot begin with.
    """
    pinned = hub.pin(source)
    tars = list_tars(pinned)
    for tar in tars:
        if not is_id(PurePosixPath(tar).stem):
            raise UserError(f"{source.repo} holds {tar!r}, and ids begin with a tar's name: rename it.")
    drawn = np.random.default_rng(seed).choice(tars, size=source.tars, replace=False)
    chosen = sorted(str(tar) for tar in drawn)
    shares = [[tar, count // len(chosen) + (i < count % len(chosen))] for i, tar in enumerate(chosen)]
    write_text(out, json.dumps({"revision": pinned.revision, "tars": shares}, indent=1) + "\n")
    hub.record_commit(source, pinned.revision, out)


def draw(
    source: HPS, chosen: str | PathLike, number: int, seed: int, size: int, part: str | PathLike, ledger: str | PathLike
) -> None:
    """Draws the share of one tar, which is streamed once.

    Args:
        source: the data set, and which caption becomes the prompt.
        chosen: what `choose` wrote.
        number: which of the chosen tars.
        seed: of the draw.
        size: images become size x size: the shorter side scaled, the longer one cropped at its centre.
        part: the records to write.
        ledger: CSV to write, a row per drawn image: `LEDGER`; width and height are the original's.

    Raises:
        UserError: the tar is missing or damaged, or holds too few images.
    """
    part = Path(part)
    plan = read_json(chosen, ["revision", "tars"])
    source = source.model_copy(update={"revision": plan["revision"]})
    tar, share = plan["tars"][number]
    skipped = Skipped(f"{source.repo}/{tar}")
    with (
        _scratch(part) as folder,
        atomic(ledger) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(LEDGER)

        def records() -> Iterator[Record]:
            seen: set[str] = set()
            for sample in _lowest(source, tar, share + _spare(share), seed, folder, skipped):
                digest = hashlib.sha256(sample.content).hexdigest()
                if len(seen) == share:
                    return
                if digest in seen:
                    skipped.add(sample.member, "its image is drawn already")
                    continue
                try:
                    image = decode_rgb(sample.content)
                except ValueError as error:
                    skipped.add(sample.member, "its image cannot be read", str(error))
                    continue
                pixels = crop(scale(image, size), size)
                seen.add(digest)
                id_ = f"{PurePosixPath(tar).stem}-{digest[:16]}"
                origin = " ".join(clean(sample.about.get("source") or "").split())
                cells = (tar, sample.member, digest, *image.size, id_, origin)
                rows.writerow(escape_spreadsheet(str(cell)) for cell in cells)
                prompt = clean(sample.about[source.prompt] or "")
                yield Record(id_, pixels, None, prompt, source=f"hps:{tar}/{sample.member}")
            if len(seen) < share:
                raise UserError(
                    f"{tar} of {source.repo} holds {len(seen)} usable images and {share} are to be drawn: "
                    "raise sources.hps.tars or lower pools.hps.count."
                )

        write_records(part, records())
    logger.info("%s: %d images drawn; left out: %s", tar, share, dict(skipped.counts) or "nothing")


def deal(
    parts: Sequence[str | PathLike],
    ledgers: Sequence[str | PathLike],
    pool: Sequence[str | PathLike],
    ledger: str | PathLike,
) -> None:
    """Deals what the tars gave, in the order of their names, to the shards of a pool, and joins their ledgers."""
    write_shards(pool, read_records(parts))
    rows = [Path(path).read_text(encoding="utf-8").partition("\n")[2] for path in ledgers]
    write_text(ledger, ",".join(LEDGER) + "\n" + "".join(rows))


@contextmanager
def _scratch(part: Path) -> Iterator[Path]:
    """An empty folder beside what becomes `part`, where images wait; what a killed job left in it goes first."""
    folder = part.with_name(f".{part.name}.images")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _lowest(source: HPS, tar: str, count: int, seed: int, folder: Path, skipped: Skipped) -> Iterator[Sample]:
    """The samples of the `count` lowest priorities, in that order; their images wait in `folder`."""
    heap: list[tuple[int, str]] = []  # (-priority, file name): the highest priority on top
    kept: dict[str, Sample] = {}
    with hub.open_file(source, tar) as stream:
        for sample in read_samples(stream, skipped):
            if source.prompt not in sample.about:
                skipped.add(sample.key, f"its JSON has no {source.prompt}")
                continue
            name = hashlib.sha256(f"{seed}/{tar}/{sample.key}".encode()).hexdigest()
            heapq.heappush(heap, (-int(name, 16), name))
            leaves = heapq.heappop(heap)[1] if len(heap) > count else None
            if leaves == name:
                continue
            if leaves:
                del kept[leaves]
                (folder / leaves).unlink()
            (folder / name).write_bytes(sample.content)
            kept[name] = sample._replace(content=b"")
    for name in sorted(kept):
        yield kept[name]._replace(content=(folder / name).read_bytes())


def _spare(share: int) -> int:
    """How many more are kept, to stand in for images that turn out broken or repeated."""
    return 8 + share // 50

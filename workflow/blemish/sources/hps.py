"""HPS (§4.1): clean images drawn by seed from WebDataset tars, each tar streamed once and nothing else kept.

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
from os import PathLike
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import numpy as np

from blemish.data.files import escape_spreadsheet, write_text
from blemish.data.images import decode_rgb
from blemish.data.records import Record, clean, is_id, read_records, write_records, write_shards
from blemish.errors import UserError
from blemish.sources import hub
from blemish.sources.framing import crop, scale
from blemish.sources.settings import HPS
from blemish.sources.webdataset import Sample, Skipped, read_samples

LEDGER = ("tar", "member", "sha256", "width", "height", "id")

logger = logging.getLogger("blemish.hps")


def draw(
    source: HPS,
    count: int,
    seed: int,
    size: int,
    pool: Sequence[str | PathLike],
    ledger: str | PathLike,
) -> None:
    """Draws `count` images: `source.tars` tars by seed, an equal share of the images from each.

    What a tar gave lies in a folder `.drawn` beside the ledger until all is done, so that an interrupted draw
    goes on with the tar it was at.

    Args:
        source: the data set, how many of its tars are read, and which caption becomes the prompt.
        count: images in all.
        seed: of the draw.
        size: images become size x size: the shorter side scaled, the longer one cropped at its centre.
        pool: shards to write.
        ledger: CSV to write, a row per drawn image: `LEDGER`; width and height are the original's.

    Raises:
        UserError: tars are missing, are damaged, or hold too few images.
    """
    named, source = source, hub.pin(source)
    tars = hub.list_files(source, "data/*.tar")
    if len(tars) < source.tars:
        raise UserError(f"{source.repo} has {len(tars)} tars, and sources.hps.tars asks for {source.tars}.")
    for tar in tars:
        if not is_id(PurePosixPath(tar).stem):
            raise UserError(f"{source.repo} holds {tar!r}, and ids begin with a tar's name: rename it.")
    drawn = np.random.default_rng(seed).choice(tars, size=source.tars, replace=False)
    chosen = sorted(str(tar) for tar in drawn)
    state = Path(ledger).parent / ".drawn"
    parts = []
    for i, tar in enumerate(chosen):
        share = count // len(chosen) + (i < count % len(chosen))
        task = json.dumps([source.repo, source.revision, source.prompt, tar, share, seed, size])
        part = state / f"{PurePosixPath(tar).stem}-{hashlib.sha256(task.encode()).hexdigest()[:12]}.parquet"
        if not part.exists():
            _draw_from_tar(source, tar, share, seed, size, part)
        parts.append(part)
    write_shards(pool, read_records(parts))
    write_text(ledger, ",".join(LEDGER) + "\n" + "".join(part.with_suffix(".csv").read_text() for part in parts))
    hub.record_commit(named, source.revision, ledger)
    shutil.rmtree(state)


def _draw_from_tar(source: HPS, tar: str, share: int, seed: int, size: int, part: Path) -> None:
    """Writes the images drawn from one tar as records, and their rows of the ledger beside them."""
    part.parent.mkdir(parents=True, exist_ok=True)
    skipped = Skipped(f"{source.repo}/{tar}")
    with TemporaryDirectory(dir=part.parent) as folder, open(part.with_suffix(".csv"), "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")

        def records() -> Iterator[Record]:
            seen: set[str] = set()
            for sample in _lowest(source, tar, share + _spare(share), seed, Path(folder), skipped):
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
                cells = map(escape_spreadsheet, (tar, sample.member))
                rows.writerow((*cells, digest, *image.size, id_))
                prompt = clean(sample.about[source.prompt] or "")
                yield Record(id_, pixels, None, prompt, source=f"hps:{tar}/{sample.member}")
            if len(seen) < share:
                raise UserError(
                    f"{tar} of {source.repo} holds {len(seen)} usable images and {share} are to be drawn: "
                    "raise sources.hps.tars or lower pools.hps.count."
                )

        write_records(part, records())
    logger.info("%s: %d images drawn; left out: %s", tar, share, dict(skipped.counts) or "nothing")


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

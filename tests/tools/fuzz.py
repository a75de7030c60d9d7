"""Damaged and senseless bytes for every decoder of files from outside.

`PYTHONPATH=workflow python tests/tools/fuzz.py [inputs]` prints what came of them as JSON.

Starts from real files and changes, cuts, repeats and swaps bytes by a seeded generator; a quarter is noise. Anything
but an answer or the decoder's own complaint ends the run, as does an input that takes longer than `SLOWEST`.
"""

from __future__ import annotations

import io
import json
import random
import sys
import tarfile
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from paper import labels
from PIL import Image

from blemish.data import tfrecords
from blemish.data.images import decode_rgb
from blemish.errors import UserError
from blemish.labels import annotators
from blemish.labels.binarize import SCORES, _analyse
from blemish.sources.webdataset import Skipped, read_samples

SLOWEST = 2.0  # seconds of a processor
POLICY = labels()


def encoded_maps() -> list[bytes]:
    pixels = np.zeros((24, 24), np.uint8)
    pixels[4:12, 4:12], pixels[8:20, 8:20] = 85, 170
    colours = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    found = []
    for image in (Image.fromarray(pixels), Image.fromarray(colours), Image.fromarray(pixels).convert("P")):
        for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
            buffer = io.BytesIO()
            (image.convert("L") if kind == "JPEG" and image.mode == "P" else image).save(buffer, kind)
            found.append(buffer.getvalue())
    return found


MAPS = encoded_maps()
EXAMPLES = [
    tfrecords.encode_example(
        {"filename": b"train/u.png", "artifact_map": content, **{score: [0.5] for score in SCORES}}
    )
    for content in MAPS
]


def frame(data: bytes) -> bytes:
    """A record of a TFRecord file with right checksums."""
    length = len(data).to_bytes(8, "little")
    checksums = (tfrecords.masked_crc(part).to_bytes(4, "little") for part in (length, data))
    return length + next(checksums) + data + next(checksums)


def encoded_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for i in range(3):
            about = json.dumps({"short_caption": f"a face {i}"}).encode()
            for name, part in ((f"s{i}.json", about), (f"s{i}.png", MAPS[0])):
                member = tarfile.TarInfo(name)
                member.size = len(part)
                archive.addfile(member, io.BytesIO(part))
    return buffer.getvalue()


SEEDS = {
    "TFRecord file": [b"".join(map(frame, EXAMPLES[i : i + 3])) for i in range(0, len(EXAMPLES), 3)],
    "example in a sound record": EXAMPLES,
    "artifact map": MAPS,
    "image": MAPS,
    "tar": [encoded_tar()],
}


def read_file(content: bytes, folder: Path) -> int:
    (folder / "f.tfrecord").write_bytes(content)
    return sum(1 for _ in tfrecords.read_examples(folder / "f.tfrecord"))


def analyse(content: bytes, folder: Path) -> object:
    (folder / "f.tfrecord").write_bytes(frame(content))
    return [_analyse("f", offset, e, POLICY) for offset, e in tfrecords.read_examples(folder / "f.tfrecord")]


DECODERS = {
    "TFRecord file": read_file,
    "example in a sound record": analyse,
    "artifact map": lambda content, _: annotators.decode_map(content),
    "image": lambda content, _: decode_rgb(content),
    "tar": lambda content, _: list(read_samples(io.BytesIO(content), Skipped("t"))),
}


def mutate(rng: random.Random, seed: bytes) -> bytes:
    if rng.random() < 0.25:
        noise = rng.randbytes(rng.randrange(200))
        return seed[: rng.randrange(64)] + noise if rng.random() < 0.5 else noise
    content = bytearray(seed)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at, length = rng.randrange(len(content) + 1), rng.choice([1, 2, 4, 8, 32])
        match rng.randrange(6):
            case 0:
                content[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                content[at : at + length] = rng.choice([b"\x00", b"\xff", b"\x7f"]) * length
            case 2:
                del content[at : at + length]
            case 3:
                content[at:at] = content[at : at + length] * rng.randrange(1, 4)
            case 4:
                number = rng.choice([0, 1, 2**31 - 1, 2**32 - 1])
                content[at : at + 4] = number.to_bytes(4, rng.choice(["big", "little"]))
            case 5:
                del content[at:]
        content = content or bytearray(b"\x00")
    return bytes(content)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def fuzz(inputs: int, seed: int = 0) -> dict:
    """Feeds `inputs` to the decoders in turn; returns what became of them, the slowest and the growth of memory."""
    rng, outcomes = random.Random(seed), {name: Counter() for name in DECODERS}
    slowest, grown_from = 0.0, 0
    names = list(DECODERS)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on what it decodes all the same
        for i in range(inputs):
            name = names[i % len(names)]
            content = mutate(rng, rng.choice(SEEDS[name]))
            started = time.process_time()
            try:
                DECODERS[name](content, Path(folder))
                outcomes[name]["decoded"] += 1
            except (UserError, ValueError) as error:
                outcomes[name]["refused"] += 1
                if isinstance(error, ValueError) and name not in ("artifact map", "image"):
                    raise
            except BaseException:
                print(f"{name}: {content!r}", file=sys.stderr)
                raise
            seconds = time.process_time() - started
            slowest = max(slowest, seconds)
            if seconds > SLOWEST:
                raise TimeoutError(f"{name}: {seconds:.1f} s: {content!r}")
            if i == inputs // 10:  # libraries are loaded, caches are filled
                grown_from = resident()
    return {
        "inputs": inputs,
        "outcomes": {name: dict(counts) for name, counts in outcomes.items()},
        "slowest_ms": round(1000 * slowest, 1),
        "growth_mib": round((resident() - grown_from) / 2**20, 1),
    }


if __name__ == "__main__":
    import logging

    logging.disable(logging.WARNING)
    started = time.monotonic()
    summary = fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
    print(json.dumps({**summary, "seconds": round(time.monotonic() - started)}, indent=1))

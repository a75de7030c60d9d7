"""Makes WebDataset tars, of samples of an image and a JSON and of members that should not be there; draws from them."""

import io
import json
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from blemish.data.images import encode_png
from blemish.sources import hps


def png(seed: int, width: int = 12, height: int = 8) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def draw(source, count: int, seed: int, size: int, pool: list, ledger, between=None) -> None:
    """The jobs of a draw one after the other; finished ones are kept in `between`, where it is given."""
    with TemporaryDirectory() as temporary:
        folder = Path(between or temporary)
        chosen = folder / "tars.json"
        if not chosen.exists():
            hps.choose(source, count, seed, chosen)
        parts = [(folder / f"{i}.parquet", folder / f"{i}.csv") for i in range(source.tars)]
        for i, (part, rows) in enumerate(parts):
            if not rows.exists():
                hps.draw(source, chosen, i, seed, size, part, rows)
        hps.deal([part for part, _ in parts], [rows for _, rows in parts], pool, ledger)


def sample(name: str, seed: int) -> list[tuple[str, bytes]]:
    about = {"image_name": name, "short_caption": f"short {name}", "original_prompt": f"long {name}"}
    return [(f"{name}.json", json.dumps(about).encode()), (f"{name}.png", png(seed))]


def write_tar(path, members: list) -> None:
    """Members are (name, content), or a TarInfo for anything but a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info

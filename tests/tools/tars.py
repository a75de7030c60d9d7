"""Makes WebDataset tars: samples of an image and a JSON, and members that should not be there."""

import io
import json
import tarfile

import numpy as np

from blemish.data.images import encode_png


def png(seed: int, width: int = 12, height: int = 8) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


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

"""Measures what a training set costs: memory and seconds to open it, and images a second, read or held in memory.

`PYTHONPATH=workflow python benchmarks/dataset.py --images 1000000` prints JSON and writes nothing that stays.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from blemish.detection import mmcv_lite  # noqa: F401  isort: skip

import numpy as np
import pyarrow as pa

from blemish.data.records import SCHEMA, encode_image, encode_mask, writer_of
from blemish.detection.dataset import BatchSampler, RecordsDataset

KINDS = 50
"""Different images in a synthetic set; the others repeat them under ids of their own."""


def write_synthetic(path: Path, first: int, count: int, size: int) -> Path:
    """A shard of `count` records of noise, size x size, with masks."""
    random = np.random.default_rng(0)
    images = [encode_image(random.integers(0, 256, (size, size, 3), dtype=np.uint8)) for _ in range(KINDS)]
    masks = [encode_mask(random.random((size, size)) > 0.9) for _ in range(KINDS)]
    with writer_of(path, SCHEMA) as writer:
        for start in range(first, first + count, 1000):
            rows = [
                dict.fromkeys(SCHEMA.names, "") | {"id": f"{i:09}", "seed": 0, "image": _stored(images, i)}
                | {"mask": _stored(masks, i)}
                for i in range(start, min(start + 1000, first + count))
            ]  # fmt: skip
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    return path


def _stored(encoded: list[bytes], i: int) -> dict:
    return {"bytes": encoded[i % KINDS], "path": f"{i}.png"}


def resident() -> float:
    """MB of this process that are not pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


def images_per_second(dataset: RecordsDataset, seconds: float = 5) -> float:
    """Images that one core makes ready, in the order of a training."""
    start, done = time.perf_counter(), 0
    for batch in BatchSampler(len(dataset), 8, 0, 0, 10**9):
        done += len([dataset[key] for key in batch])
        if time.perf_counter() - start > seconds:
            return done / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=32, help="pixels a side (default: 32; speed is measured at 512)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = [
            write_synthetic(Path(folder) / f"{first}.parquet", first, min(100_000, chosen.images - first), chosen.size)
            for first in range(0, chosen.images, 100_000)
        ]
        before, start = resident(), time.perf_counter()
        dataset = RecordsDataset(shards, memory=0)
        opened = time.perf_counter() - start
        grown = resident() - before
        small = write_synthetic(Path(folder) / "small.parquet", 0, 200, 512)
        print(
            json.dumps(
                {
                    "images": len(dataset),
                    "disk_gb": sum(path.stat().st_size for path in shards) / 1e9,
                    "seconds_to_open": round(opened, 1),
                    "memory_mb": round(grown),
                    "bytes_an_image": round(grown * 1e6 / len(dataset)),
                    "images_per_s_at_512": {
                        "read": round(images_per_second(RecordsDataset([small], memory=0)), 1),
                        "held": round(images_per_second(RecordsDataset([small])), 1),
                    },
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()

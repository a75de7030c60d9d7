"""Time and memory of binarizing a RichHF train split of the real size (15,810 records, 150 MB).

    PYTHONPATH=workflow:. python benchmarks/binarize.py

Beside it, in the same run: a plain loop over the `tfrecord` package's reader that does the same analysis and writes
the same masks in one process, without checksums and audit. Goal: under 60 s and under 1 GB on two cores.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmarks.simulated_richhf import example, simulate

from blemish.config.load import load
from blemish.data.records import Record, read_ids, write_records
from blemish.data.tfrecords import read_examples, write_examples
from blemish.labels import annotators
from blemish.labels.binarize import SCORES, label_split
from blemish.labels.settings import Labels

RECORDS = 15_810
DRAWN = 300  # different samples; the rest repeats them under other names
QUALITY = 80  # of JPEG, so that the file has the real one's size
POLICY = Labels(**load()["labels"])


def make(path: Path) -> None:
    rng = np.random.default_rng(0)
    features = [example(simulate(rng, 1 + i % 3), "", QUALITY) for i in range(DRAWN)]
    names = (f"train/{i:032x}.png".encode() for i in range(RECORDS))
    write_examples(path, ({**features[i % DRAWN], "filename": name} for i, name in enumerate(names)))


def ours(path: Path, folder: Path, processes: int) -> None:
    files = [folder / name for name in ("labels.parquet", "audit.csv", "summary.json")]
    label_split([path], "dev", POLICY, *files, processes)  # of which the paper gives no count to stop at


def plain_loop(path: Path, folder: Path) -> None:
    from tfrecord.reader import tfrecord_loader

    def records():
        for features in tfrecord_loader(str(path), None):
            pixels = annotators.decode_map(features["artifact_map"])
            found = annotators.weigh(pixels, {name: features[name][0] for name in SCORES}, POLICY)
            if annotators.decide(found, POLICY).kept:
                mask = annotators.binarize(pixels, POLICY)
                yield Record(Path(features["filename"].decode()).stem, None, mask)

    write_records(folder / "labels.parquet", records())


def read_only(path: Path, folder: Path) -> None:
    assert sum(1 for _ in read_examples(path)) == RECORDS


def read_only_plain(path: Path, folder: Path) -> None:
    from tfrecord.reader import tfrecord_loader

    assert sum(1 for _ in tfrecord_loader(str(path), None)) == RECORDS


def measured(connection, function, *arguments) -> None:
    """Sends seconds, and an upper bound of the peak memory of this process and its own in MB."""
    start = time.perf_counter()
    function(*arguments)
    seconds = time.perf_counter() - start
    workers = arguments[2] if len(arguments) > 2 else 0
    own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    connection.send((seconds, (own + workers * child) / 1024))


def main() -> None:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "train.tfrecord"
        make(path)
        print(f"{RECORDS:,} records, {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores")
        kept = set()
        for title, function, *more in (
            ("reading only, tfrecord package, no checksums", read_only_plain),
            ("reading only, blemish, checksums", read_only),
            ("plain loop over the tfrecord package", plain_loop),
            ("blemish, one process", ours, 1),
            ("blemish, two processes", ours, 2),
        ):
            folder = Path(name) / "out"
            folder.mkdir(exist_ok=True)
            receiver, sender = context.Pipe()
            process = context.Process(target=measured, args=(sender, function, path, folder, *more))
            process.start()
            seconds, megabytes = receiver.recv()
            process.join()
            print(f"{title:46} {seconds:6.1f} s {megabytes:6.0f} MB")
            if (folder / "labels.parquet").exists():
                kept.add(len(read_ids(folder / "labels.parquet")))
        assert len(kept) == 1, f"the variants kept different numbers of samples: {kept}"


if __name__ == "__main__":
    main()

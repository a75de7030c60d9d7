"""Kills jobs and Snakemake at random moments of a small run until it is through; compares it with a calm one.

`PYTHONPATH=workflow python tests/tools/kill.py FOLDER [--kills 50] [--seed 0] [--targets ...]` works in
FOLDER/undisturbed (a finished run there is used as it is) and FOLDER/killed, and prints a summary as JSON. Exit code 1
if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from checkout import SNAKEMAKE, link_checkout
from PIL import Image
from runs import content, results
from safetensors import safe_open

from blemish.data import tensors
from blemish.data.tfrecords import read_examples

OPTIONS = ("--cores", "2", "--configfile", "config/mini.yaml", "config/test.yaml")
SHARD_RULES = ("invert", "reconstruct", "corrupt", "select_regions")
VICTIMS = ("shard job", "trainer", "any job", "Snakemake", "Snakemake and its jobs")
PAUSE = (4.0, 25.0)  # seconds between a start and the kill
RESULTS = "results/test"


def start(folder: Path, targets: list[str], output: Path) -> subprocess.Popen:
    with open(output, "w") as stream:
        return subprocess.Popen(
            [SNAKEMAKE, *targets, *OPTIONS],
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
            start_new_session=True,
        )


def jobs_of(snakemake: subprocess.Popen) -> list[tuple[int, str]]:
    """(process id, rule) of the scripts that a Snakemake runs."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(snakemake.pid)], capture_output=True, text=True
    )
    script = re.compile(r"\s*(\d+) .*/\.snakemake/scripts/tmp[^.]*\.(\w+)\.py")
    found = map(script.match, listing.stdout.splitlines())
    return [(int(m[1]), m[2]) for m in found if m]


def members(session: int) -> list[int]:
    """Processes of a session that live."""
    listing = subprocess.run(["ps", "-ww", "-o", "pid=", "-s", str(session)], capture_output=True, text=True)
    return [int(pid) for pid in listing.stdout.split()]


def kill(snakemake: subprocess.Popen, wish: str, rng: random.Random) -> str | None:
    """Kills a victim of the wished kind, if there is one; returns what it was."""
    if wish == "Snakemake":
        os.kill(snakemake.pid, signal.SIGKILL)
        return wish
    if wish == "Snakemake and its jobs":
        os.killpg(snakemake.pid, signal.SIGKILL)
        return wish
    rules = {"shard job": SHARD_RULES, "trainer": ("train_detector",)}.get(wish)
    there = [pid for pid, rule in jobs_of(snakemake) if rules is None or rule in rules]
    if not there:
        return None
    try:
        os.kill(rng.choice(there), signal.SIGKILL)
    except ProcessLookupError:
        return None
    return wish


def fault(path: Path) -> str | None:
    """Why a file is not whole; None if it is, or was replaced or removed meanwhile."""
    try:
        if path.suffix == ".parquet":
            pq.ParquetFile(path, page_checksum_verification=True).read()
        elif path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                if not tensors.is_sound(file):
                    return "its checksum differs"
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".csv":
            pd.read_csv(path)
            return None if path.read_bytes().endswith(b"\n") else "its last line is cut off"
        elif path.suffix == ".png":
            Image.open(path).load()
        elif path.suffix == ".pdf":
            return None if path.read_bytes().rstrip().endswith(b"%%EOF") else "it has no end"
        elif path.suffix == ".tfrecord":
            for _ in read_examples(path):
                pass
        elif path.stat().st_size == 0:
            return "it is empty"
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a reader says of a file that is cut off
        return f"{type(error).__name__}: {error}"
    return None


def finished(output: Path) -> int:
    return len(re.findall(r"^Finished jobid: ", output.read_text(), re.MULTILINE))


def started(output: Path) -> int:
    return len(re.findall(r"^Job \d+: ", output.read_text(), re.MULTILINE))


def disturb(folder: Path, targets: list[str], kills: int, rng: random.Random) -> dict:
    """Starts and kills until the run is through after at least `kills` kills; begins anew if it was through before."""
    counts: Counter[str] = Counter()
    partial: dict[str, str] = {}
    checked: dict[str, tuple] = {}
    sessions, starts, done, begun, rounds, locked = [], 0, 0, 0, 1, 0
    while True:
        output = folder / f"output-{starts}.txt"
        process, starts = start(folder, targets, output), starts + 1
        sessions.append(process.pid)
        due = time.monotonic() + rng.uniform(*PAUSE)
        wish = rng.choice(VICTIMS)
        while process.poll() is None:
            if sum(counts.values()) < kills and time.monotonic() > due and (victim := kill(process, wish, rng)):
                counts[victim] += 1
                process.wait(600)
            time.sleep(0.02)
        done, begun = done + finished(output), begun + started(output)
        locked += "LockException" in output.read_text()
        for name, path in results(folder / RESULTS).items():
            try:
                stamp = (path.stat().st_mtime_ns, path.stat().st_ino)
            except FileNotFoundError:
                continue
            if checked.get(name) != stamp:
                checked[name] = stamp
                if what := fault(path):
                    partial[f"{name} after {sum(counts.values())} kills"] = what
        print(f"{sum(counts.values())} kills, exit code {process.returncode}", file=sys.stderr, flush=True)
        if process.returncode == 0 and sum(counts.values()) >= kills:
            break
        if process.returncode == 0:
            subprocess.run(["rm", "-rf", folder / "results", folder / ".snakemake"], check=True)
            checked.clear()
            rounds += 1
        elif process.returncode > 0 and sum(counts.values()) >= kills and starts > 5 * kills + 20:
            raise RuntimeError(f"the run does not go on: see {output}")
    end = time.monotonic() + 120
    while any(map(members, sessions)) and time.monotonic() < end:
        time.sleep(0.2)
    return {
        "kills": {name: counts[name] for name in VICTIMS},
        "starts": starts,
        "rounds": rounds,
        "locked_out": locked,
        "jobs_started": begun,
        "jobs_finished": done,
        "partial_files": partial,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", default=[])
    options = parser.parse_args()
    began = time.monotonic()
    calm, killed = (options.folder.resolve() / name for name in ("undisturbed", "killed"))
    for folder in (calm, killed):
        if not folder.exists():
            folder.mkdir(parents=True)
            link_checkout(folder)
    process = start(calm, options.targets, calm / "output.txt")
    if process.wait():
        raise SystemExit(f"the undisturbed run failed: see {calm}/output.txt")
    summary = disturb(killed, options.targets, options.kills, random.Random(options.seed))
    expected, found = results(calm / RESULTS), results(killed / RESULTS)
    common = expected.keys() & found.keys()
    litter = [p for p in (killed / "results").rglob(".*") if p.name not in (".snakemake_timestamp",)]
    summary |= {
        "jobs_needed": started(calm / "output.txt") or None,
        "files": len(expected),
        "missing": sorted(expected.keys() - found.keys()),
        "too_many": sorted(found.keys() - expected.keys()),
        "different": sorted(name for name in common if content(expected[name]) != content(found[name])),
        "hidden_leftovers": sorted(str(path.relative_to(killed)) for path in litter),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(summary, indent=1))
    return int(any(summary[key] for key in ("partial_files", "missing", "too_many", "different")))


if __name__ == "__main__":
    sys.exit(main())

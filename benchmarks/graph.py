"""Time and memory of planning: dry runs of the paper's graph, of one ten times larger, and of a million images.

    python benchmarks/graph.py

Prints JSON. Goals: the paper in under 10 s and 500 MB; ten times the images and five seeds within 2 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PARTS = ("Snakefile", "rules", "scripts", "config", "workflow", "profiles", "environment.yml")
GRAPHS = {
    "paper": {},
    "ten times": {
        "pools": {"hps": {"count": 100_000, "shards": 80}, "richhf": {"shards": 80}},
        "detectors": {"seeds": [0, 1, 2, 3, 4]},
    },
    "a million images": {
        "pools": {"hps": {"count": 1_000_000, "shards": 800}},
        "detectors": {"seeds": [0, 1, 2, 3, 4]},
    },
}


def plan(overlay: dict) -> dict:
    """Seconds and peak memory in MB of one dry run without results, and its jobs by rule."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in PARTS:
            os.symlink(ROOT / part, folder / part)
        (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
        command = [SNAKEMAKE, "-n", "--quiet", "rules", "--configfile", "overlay.yaml"]
        start = time.perf_counter()
        with open(folder / "said.txt", "w+") as said:
            process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        text = (folder / "said.txt").read_text()
    if status:
        sys.exit(text)
    table = text.partition("Job stats:")[2].partition("\n\n")[0]
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}
    return {
        "jobs": jobs.pop("total"),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "megabytes": round(usage.ru_maxrss / 1024),
        "by_rule": jobs,
    }


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    graphs = {name: plan(overlay) for name, overlay in GRAPHS.items()}
    print(json.dumps({"machine": f"{platform.machine()}, {os.cpu_count()} cores", "graphs": graphs}, indent=1))

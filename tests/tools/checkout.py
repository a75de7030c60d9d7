"""Runs Snakemake on a checkout of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PARTS = ("Snakefile", "rules", "scripts", "config", "workflow", "profiles", "resources", "environment.yml")


def link_checkout(folder):
    """Makes `folder` a working directory whose code is this checkout's and whose results are its own."""
    for name in PARTS:
        os.symlink(ROOT / name, folder / name)
    return folder


def snakemake(*arguments, folder=ROOT, timeout=900, **environment):
    """A finished Snakemake on a machine without a GPU, unless `environment` says otherwise."""
    return subprocess.run(
        [SNAKEMAKE, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""} | environment,
        timeout=timeout,
    )


def said(done):
    return done.stdout + done.stderr


def jobs(done):
    """Rule -> number of jobs, from the table that a dry run prints; empty if there is nothing to do."""
    table = said(done).partition("Job stats:")[2].partition("total")[0]
    return {m[1]: int(m[2]) for m in re.finditer(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}


def gpu_rules():
    """The rules whose jobs ask for a GPU."""
    text = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    rules = re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return {name for name, body in rules if re.search(r"^        gpu=", body, re.MULTILINE)}

"""`python -m blemish.planning.status [config files]`: where a run stands, what would run next and why, time left.

Reads two dry runs of Snakemake and what it recorded of the jobs that ran here. Nothing is written.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections import Counter
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from blemish.errors import UserError
from blemish.experiments import group
from blemish.jobs import locks

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
SNAKEMAKES = Path(".snakemake")
RECORDS = SNAKEMAKES / "metadata"
FOLLOWS = "Input files updated by another job"


def plan(*arguments: str) -> tuple[Counter, list[tuple[str, str]]]:
    """Jobs by rule, and (sentence, reason) of each, of a dry run.

    Raises:
        UserError: Snakemake ends with an error; its text tells which.
    """
    command = [SNAKEMAKE, "--dry-run", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("  File ")]
        raise UserError(f"Snakemake cannot plan this run: {said[-1]}")
    table = done.stdout.partition("Job stats:")[2].partition("total")[0]
    counts = Counter({rule: int(n) for rule, n in re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)})
    return counts, re.findall(r"^Job \d+: (.+)\nReason: (.+)$", done.stdout, re.MULTILINE)


def durations(records: Path) -> dict[str, float]:
    """Rule -> mean seconds of its jobs, from Snakemake's records of what ran in this folder."""
    jobs = {}
    for path in records.rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text())
            jobs[record["rule"], record["starttime"]] = record["endtime"] - record["starttime"]
    return {rule: fmean(seconds) for rule, seconds in group((rule for rule, _ in jobs), jobs.values()).items()}


def under_way(folder: Path) -> set[str]:
    """Files that the jobs of a run make now; its marks of them outlive a run that was killed.

    Args:
        folder: Snakemake's own, `.snakemake` in the working directory.
    """
    marks = [path.relative_to(folder / "incomplete") for path in folder.glob("incomplete/**/*") if path.is_file()]
    names = ("".join(part.removeprefix("@") for part in mark.parts) for mark in marks)
    return {urlsafe_b64decode(name).decode() for name in names} if locks.is_running(folder) else set()


def without_details(reason: str) -> str:
    """The first of Snakemake's reasons, without the names and values that follow it."""
    return re.split("[;,:]", reason, maxsplit=1)[0]


def show(configs: list[str], console: Console) -> None:
    """Prints the table of rules, the jobs that could start now, and the time left.

    Args:
        configs: config files over config/config.yaml.
        console: where to print.

    Raises:
        UserError: see `plan`.
    """
    arguments = ["--configfile", *configs] if configs else []
    total, _ = plan("--forceall", *arguments)
    left, jobs = plan(*arguments)
    total.pop("all", None)
    seconds = durations(RECORDS)
    table = Table(title="Jobs")
    for heading in ("rule", "done", "of", "seconds each"):
        table.add_column(heading, justify="left" if heading == "rule" else "right")
    for rule, count in total.items():
        each = f"{seconds[rule]:.0f}" if rule in seconds else "not known yet"
        table.add_row(rule, str(count - left[rule]), str(count), each)
    console.print(table)
    if not left:
        console.print("Everything is done.")
        return
    making = under_way(SNAKEMAKES)
    free = [(message, reason) for message, reason in jobs if FOLLOWS not in reason]
    starting = [
        (message, without_details(reason)) for message, reason in free if making.isdisjoint(re.split("[ ,;]+", reason))
    ]
    if len(starting) < len(free):
        console.print(f"{len(free) - len(starting)} jobs are under way.")
    console.print(f"{len(starting)} jobs could start now:")
    for message, reason in starting[:10]:
        console.print(f"  {message} ({reason})", highlight=False, markup=False, soft_wrap=True)
    known = sum(count * seconds[rule] for rule, count in left.items() if rule in seconds)
    unknown = sum(count for rule, count in left.items() if rule not in seconds and rule != "all")
    console.print(
        f"Left: {known / 60:.0f} minutes of work, by what such jobs took here"
        + (f", and {unknown} jobs of kinds that have not run yet." if unknown else ".")
    )


if __name__ == "__main__":
    try:
        show(sys.argv[1:], Console())
    except UserError as error:
        sys.exit(f"blemish: {error}")

"""The run's own record of the parameters that each result was made with, for the day on which `.snakemake` is lost.

Snakemake compares a job's parameters with those that it noted in `.snakemake`; of results without such a note it takes
the age alone. So `<results>/record.json` holds the parameters too: it is written when a run starts and when it ends,
and read for results that Snakemake knows nothing of. An entry says only what is certain: while a run may replace a
result by one of other parameters, the result has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from blemish.errors import UserError

FILE = "record.json"
NAMED = 5  # changes that the sentence names
INPUTS = "input files"
LISTED = 16  # files that the command names instead of their rule


def watch(workflow, results: Path) -> None:
    """Has `compare` called as soon as it is settled what runs; an error ends Snakemake with its sentence.

    No hook of Snakemake's is called in a dry run, or in a run with nothing to do.
    """
    from snakemake.exceptions import WorkflowError

    build = workflow._build_dag

    def build_and_compare() -> None:
        build()
        if workflow.executor_plugin is not None and not workflow.touch:
            try:
                compare(workflow, results, sys.argv[1:])
            except UserError as error:
                raise WorkflowError(str(error)) from None

    workflow._build_dag = build_and_compare


def compare(workflow, results: Path, command: Sequence[str]) -> None:
    """Checks that all results which would be kept were made with the present parameters.

    Args:
        workflow: Snakemake's, in which it is settled what runs.
        results: the folder of results.
        command: the arguments that were typed.

    Raises:
        UserError: they were not, or nothing tells: says what changed, and the command that makes those results again.
    """
    dag, known = workflow.dag, workflow.persistence.has_metadata
    doubted = [job for job in dag.jobs if job.output and not dag.needrun(job) and not known(job)]
    if not doubted:
        return
    made = _read(results)
    stale: dict[str, list[str]] = defaultdict(list)
    changes: dict[str, None] = {}  # in place of a set, for its order
    for job in sorted(doubted, key=_key):
        former, present, rule = made.get(_key(job)), _settings(job), job.rule.name
        if former == present or (former is None and not os.path.exists(_key(job))):
            continue
        stale[rule].append(_key(job))
        differences = ["unknown settings"] if former is None else _differences(former, present)
        changes |= dict.fromkeys(f"{rule}: {change}" for change in differences)
    if not stale:
        return
    of_rule = Counter(job.rule.name for job in doubted)
    again = sorted(workflow.dag_settings.forcerun)
    for rule, files in stale.items():
        again += files if len(files) < min(of_rule[rule], LISTED + 1) else [rule]
    typed = [word for word in command if word not in ("-n", "--dry-run", "--dryrun")]
    more = f" and {len(changes) - NAMED} more" if len(changes) > NAMED else ""
    raise UserError(
        f"{results} holds results of other settings, which Snakemake cannot tell without its records in .snakemake "
        f"({'; '.join([*changes][:NAMED])}{more}): make them again with "
        f"`{shlex.join(['snakemake', *typed, '--forcerun', *again])}`."
    )


def start(workflow, results: Path) -> None:
    """Writes what is certain before any job runs: a result that is to be replaced by another has no entry."""
    dag, persistence, made = workflow.dag, workflow.persistence, _read(results)
    for job in [job for job in dag.jobs if job.output]:
        key, present = _key(job), _settings(job)
        if dag.needrun(job):
            certain = made.get(key) == present or (key not in made and not any(map(os.path.exists, job.output)))
        elif persistence.has_metadata(job):
            certain = not persistence.params_changed(job)  # they may have, with other --rerun-triggers
        else:
            continue  # `compare` found nothing against it
        made[key] = present if certain else None
    _write(results, made)


def end(workflow, results: Path) -> None:
    """Writes what came to its end in a run, whether the run itself did or not."""
    done = [job for job in workflow.dag.jobs if job.output and workflow.dag.finished(job)]
    _write(results, _read(results) | {_key(job): _settings(job) for job in done})


def _key(job) -> str:
    return str(job.output[0])


def _settings(job) -> dict:
    """A job's parameters as JSON would return them, and a digest of its inputs' names."""
    files = {INPUTS: _digest("\n".join(sorted(map(str, job.input))))}
    return json.loads(json.dumps(dict(job.params.items()) | files, default=str))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _differences(former: object, present: object, keys: tuple[str, ...] = ()) -> Iterator[str]:
    """`a.b: 1 -> 2` for each value that differs, `a.b` where these are long or digests."""
    if isinstance(former, dict) and isinstance(present, dict):
        for key in sorted({*former, *present}):
            yield from _differences(former.get(key), present.get(key), (*keys, key))
    elif former != present:
        short = len(f"{former}{present}") <= 60 and keys not in (("code",), (INPUTS,))
        yield f"{'.'.join(keys)}{f': {former} -> {present}' if short else ''}"


def _read(results: Path) -> dict[str, dict]:
    """Result -> parameters; nothing where the record is missing or damaged, as then nothing is certain."""
    try:
        record = json.loads((results / FILE).read_text())
        return {key: record["params"][digest] for key, digest in record["results"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(results: Path, made: dict[str, dict | None]) -> None:
    made = {key: params for key, params in sorted(made.items()) if params is not None}
    digests = {key: _digest(json.dumps(params, sort_keys=True)) for key, params in made.items()}
    params = dict(sorted((digests[key], made[key]) for key in made))
    results.mkdir(parents=True, exist_ok=True)
    temporary = results / f".{FILE}"
    temporary.write_text(json.dumps({"results": digests, "params": params}, indent=1))
    os.replace(temporary, results / FILE)

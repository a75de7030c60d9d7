"""RichHF-18k's label files: one split's maps become masks, with an audit of what was kept and why (paper §4.1)."""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice, product
from os import PathLike
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from blemish.data.files import atomic, escape_spreadsheet, write_text
from blemish.data.records import Record, is_id, write_records
from blemish.data.tfrecords import Example, read_examples
from blemish.errors import UserError
from blemish.labels import annotators
from blemish.labels.annotators import Evidence, Verdict
from blemish.labels.settings import Ambiguous, Labels

SCORES = ("aesthetics_score", "artifact_score", "misalignment_score", "overall_score")
PAPER_KEPT = {"train": 7801, "test": 500}  # §4.1
RELEASED = {"train": 15810, "test": 955, "dev": 995}  # records of the published files
COLUMNS = ("id", "annotators", "evidence", "kept", "reason", "by_plateaus", "by_scores", "plateaus")
UNUSABLE = ("unreadable_map", "unusable_name")
BATCH = 64  # records that a process analyses at a time

logger = logging.getLogger("blemish.richhf")


class Analysed(NamedTuple):
    """One sample."""

    id: str
    evidence: Evidence
    mask: np.ndarray  # (h, w) bool
    levels: np.ndarray  # (256,) pixels at each level


class Unusable(NamedTuple):
    """A sample that is left out because it cannot be read; `reason` is one of `UNUSABLE`."""

    id: str
    reason: str
    detail: str


def label_split(
    tfrecords: Sequence[str | PathLike],
    split: str,
    policy: Labels,
    labels: str | PathLike,
    audit: str | PathLike,
    summary: str | PathLike,
    processes: int = 1,
) -> None:
    """Binarizes the artifact maps of one split.

    Args:
        tfrecords: the split's TFRecord files.
        split: "train", "test" or "dev", for the comparison with the paper's counts, which it does not give for "dev".
        policy: which samples are kept.
        labels: Parquet to write, records of the kept samples with id and mask, at the map's size.
        audit: CSV to write, one row per sample in file order: `COLUMNS`.
        summary: JSON to write: counts per reason, the number kept under every policy, the histogram of levels.
        processes: how many analyse maps at once.

    Raises:
        UserError: a file is missing, damaged or of another data set, or more than the share
            `policy.unreadable_allowed` of the samples cannot be read; the sentence names file and byte offset.
    """
    unusable: list[Unusable] = []
    evidence: list[Evidence] = []
    levels = np.zeros(256, np.int64)

    with atomic(audit) as temporary, open(temporary, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)

        def kept() -> Iterator[Record]:
            for sample in _analyse_all(tfrecords, policy, processes):
                if isinstance(sample, Unusable):
                    unusable.append(sample)
                    logger.warning("the sample %r is left out, %s: %s", *sample)
                    rows.writerow((escape_spreadsheet(sample.id), None, "none", False, sample.reason, *3 * [None]))
                    continue
                verdict = annotators.decide(sample.evidence, policy)
                evidence.append(sample.evidence)
                np.add(levels, sample.levels, out=levels)
                rows.writerow(_audit_row(sample.id, sample.evidence, verdict))
                if verdict.kept:
                    yield Record(sample.id, None, sample.mask, source=f"richhf:{split}/{sample.id}")
            samples = len(unusable) + len(evidence)
            if len(unusable) > policy.unreadable_allowed * samples:
                raise UserError(
                    f"{len(unusable)} of {samples} samples cannot be read, the first {unusable[0].detail}: fetch "
                    "the file again, or raise labels.unreadable_allowed."
                )

        write_records(labels, kept())
    report = _summarize(split, policy, unusable, evidence) | {"levels": levels.tolist()}
    write_text(summary, json.dumps(report, indent=1) + "\n")
    logger.info("%s: %d of %d samples kept; %s", split, report["kept"], report["samples"], report["reasons"])
    if report["samples"] == RELEASED.get(split) and report["kept"] != PAPER_KEPT.get(split, report["kept"]):
        logger.warning(
            "the paper kept %d of these samples, this policy keeps %d; %s names the counts of every policy",
            *(PAPER_KEPT[split], report["kept"], summary),
        )


def every_policy(policy: Labels) -> dict[str, Labels]:
    """All choices that the paper leaves open, named: "all_zero keep, saturated drop, scores use"."""
    choices = product(("keep", "drop"), ("keep", "drop"), ("use", "ignore"))
    return {
        f"all_zero {zero}, saturated {full}, scores {scores}": policy.model_copy(
            update={"ambiguous": Ambiguous(all_zero=zero, saturated=full), "scores": scores}
        )
        for zero, full, scores in choices
    }


def _analyse_all(paths: Sequence[str | PathLike], policy: Labels, processes: int) -> Iterator[Analysed | Unusable]:
    """The analysed samples in file order; no more than a few batches are in memory at a time."""
    examples = ((path, offset, example) for path in paths for offset, example in read_examples(path))
    batches = iter(lambda: list(islice(examples, BATCH)), [])
    if processes == 1:
        for batch in batches:
            yield from _analyse_batch(batch, policy)
        return
    running: deque[Future] = deque()
    with ProcessPoolExecutor(processes) as pool:
        for batch in batches:
            running.append(pool.submit(_analyse_batch, batch, policy))
            if len(running) > processes:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _analyse_batch(batch: list[tuple[str | PathLike, int, Example]], policy: Labels) -> list[Analysed | Unusable]:
    return [_analyse(path, offset, example, policy) for path, offset, example in batch]


def _analyse(path: str | PathLike, offset: int, example: Example, policy: Labels) -> Analysed | Unusable:
    try:
        name, content = example["filename"].decode(errors="replace"), bytes(memoryview(example["artifact_map"]))
        scores = {score: float(example[score][0]) for score in SCORES}
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"the record at byte {offset:,} of {path} has no {error}, so it is not RichHF-18k: correct the config."
        ) from error
    id_ = PurePosixPath(name).stem
    if not is_id(id_):
        return Unusable(id_, "unusable_name", f"at byte {offset:,} of {path}: the name {name!r} cannot be an id")
    try:
        pixels = annotators.decode_map(content)
    except ValueError as error:
        return Unusable(id_, "unreadable_map", f"at byte {offset:,} of {path}: {error}")
    found = annotators.weigh(pixels, scores, policy)
    return Analysed(id_, found, annotators.binarize(pixels, policy), annotators.count_levels(pixels))


def _audit_row(id_: str, found: Evidence, verdict: Verdict) -> tuple:
    plateaus = {"other" if level is None else f"{level:g}": n for level, n in found.levels.items() if n}
    return (
        id_,
        verdict.annotators,
        verdict.evidence,
        verdict.kept,
        verdict.reason,
        found.from_map,
        found.from_scores,
        " ".join(f"{level}:{pixels}" for level, pixels in plateaus.items()),
    )


def _summarize(split: str, policy: Labels, unusable: list[Unusable], evidence: list[Evidence]) -> dict:
    verdicts = [annotators.decide(found, policy) for found in evidence]
    kept, dropped = ([v.reason for v in verdicts if v.kept is value] for value in (True, False))
    return {
        "split": split,
        "policy": policy.model_dump(),
        "samples": len(verdicts) + len(unusable),
        "kept": len(kept),
        "paper_samples": RELEASED.get(split),
        "paper_kept": PAPER_KEPT.get(split),
        "reasons": {"kept": _count(kept), "dropped": _count(dropped) | _count(s.reason for s in unusable)},
        "annotators": _count(str(v.annotators or "unknown") for v in verdicts),
        "kept_under": {
            name: sum(annotators.decide(found, other).kept for found in evidence)
            for name, other in every_policy(policy).items()
        },
    }


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))

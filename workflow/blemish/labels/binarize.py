"""RichHF-18k's label files: one split's maps become masks, with an audit of what was kept and why (paper §4.1)."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import shutil
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice, product
from os import PathLike
from pathlib import Path, PurePosixPath
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
APART = 0.02  # of the paper's count: so much more or less is another policy, not another decoder
COLUMNS = ("id", "annotators", "evidence", "kept", "reason", "by_plateaus", "by_scores", "plateaus", "more_annotators")
UNUSABLE = ("unreadable_map", "unusable_name")
REPEATED = "repeated_name"  # the reason of a sample whose name came before
BATCH = 64  # records that a process analyses at a time

logger = logging.getLogger("blemish.richhf")


class Analysed(NamedTuple):
    """One sample; its mask is packed to bits, because it travels between processes."""

    id: str
    evidence: Evidence
    bits: np.ndarray  # (ceil(h * w / 8),) uint8
    shape: tuple[int, int]
    levels: np.ndarray  # (256,) pixels at each level
    digest: bytes  # of the map as it is stored

    @property
    def mask(self) -> np.ndarray:
        """(h, w) bool."""
        height, width = self.shape
        return np.unpackbits(self.bits, count=height * width).reshape(self.shape).astype(bool)


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

    Of samples of one name, the first that can be read counts; the later ones are left out, whatever they hold, and
    counted as `REPEATED`. A sample that shows more annotators than `policy.annotators` is treated like any other.

    Args:
        tfrecords: the split's TFRecord files.
        split: "train", "test" or "dev", for the comparison with the paper's counts, which it does not give for "dev".
        policy: which samples are kept.
        labels: Parquet to write, records of the kept samples with id and mask, at the map's size.
        audit: CSV to write, one row per sample in file order: `COLUMNS`.
        summary: JSON to write: counts per reason, the number kept under every policy, the histogram of levels.
            If the run stops for what they count, both are set aside as `<name>.refused`.
        processes: how many analyse maps at once.

    Raises:
        UserError: a file is missing, damaged or of another data set, or more than the share
            `policy.unreadable_allowed` of the samples cannot be read; the sentence names file and byte offset.
            Or these are the released files, and the number kept is neither the paper's nor in `policy.accept_count`.
    """
    unusable: list[Unusable] = []
    evidence: dict[str, Evidence] = {}
    digests: dict[str, bytes] = {}
    repeated: list[bool] = []  # of each repeated name, whether its map is another
    levels = np.zeros(256, np.int64)
    report: dict = {}

    with atomic(audit) as temporary, open(temporary, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)

        def kept() -> Iterator[Record]:
            for sample in _analyse_all(tfrecords, policy, processes):
                if isinstance(sample, Unusable):
                    unusable.append(sample)
                    logger.warning("the sample %r is left out, %s: %s", *sample)
                    rows.writerow(_left_out(escape_spreadsheet(sample.id), sample.reason))
                    continue
                if sample.id in evidence:
                    repeated.append(sample.digest != digests[sample.id])
                    rows.writerow(_left_out(sample.id, REPEATED))
                    continue
                verdict = annotators.decide(sample.evidence, policy)
                evidence[sample.id], digests[sample.id] = sample.evidence, sample.digest
                np.add(levels, sample.levels, out=levels)
                rows.writerow(_audit_row(sample.id, sample.evidence, verdict))
                if verdict.kept:
                    yield Record(sample.id, None, sample.mask, source=f"richhf:{split}/{sample.id}")
            report.update(_summarize(split, policy, unusable, repeated, [*evidence.values()]), levels=levels.tolist())
            refusal = None
            if len(unusable) > policy.unreadable_allowed * report["samples"]:
                refusal = (
                    f"{len(unusable)} of {report['samples']} samples cannot be read, the first {unusable[0].detail}: "
                    "fetch the file again, or raise labels.unreadable_allowed."
                )
            elif _is_another_count(report, policy):
                refusal = _counts(report, policy, _set_aside(audit))
            if refusal:
                file.flush()
                shutil.copyfile(temporary, _set_aside(audit))
                write_text(_set_aside(summary), _text(report))
                raise UserError(refusal)

        write_records(labels, kept())
    write_text(summary, _text(report))
    for path in (audit, summary):
        _set_aside(path).unlink(missing_ok=True)
    _tell(report, policy)


def _is_another_count(report: Mapping, policy: Labels) -> bool:
    """Whether these are the released files, and neither the paper nor the config has about so many kept."""
    paper = report["paper_kept"]
    if paper is None or report["samples"] != report["paper_samples"]:
        return False
    accepted = getattr(policy.accept_count, report["split"])
    return all(abs(report["kept"] - count) > APART * count for count in (paper, accepted) if count is not None)


def _counts(report: Mapping, policy: Labels, audit: Path) -> str:
    """What to do about a count that is not the paper's, over the policies, the nearest count first."""
    split, kept, paper = report["split"], report["kept"], report["paper_kept"]
    present = next(name for name, other in every_policy(policy).items() if other == policy)
    nearest = sorted(report["kept_under"].items(), key=lambda item: abs(item[1] - paper))
    table = [
        f"  {count:>6,}  {100 * (count / paper - 1):+6.1f} %  {name}{' (this run)' * (name == present)}"
        for name, count in nearest
    ]
    return (
        f"{kept:,} of the {report['samples']:,} {split} samples are kept and the paper kept {paper:,} (§4.1): choose "
        "labels.ambiguous and labels.scores by the counts below, or accept this one by "
        f"`labels: {{accept_count: {{{split}: {kept}}}}}`; {audit} has a row for every sample.\n" + "\n".join(table)
    )


def _set_aside(path: str | PathLike) -> Path:
    """Where what a stopped run found is left to be looked at; no job takes it for a result."""
    return Path(f"{path}.refused")


def _text(report: Mapping) -> str:
    return json.dumps(report, indent=1) + "\n"


def _tell(report: Mapping, policy: Labels) -> None:
    """Says in the log what the summary holds."""
    split, kept = report["split"], report["kept"]
    logger.info("%s: %d of %d samples kept; %s", split, kept, report["samples"], report["reasons"])
    if repeated := report["repeated"]:
        logger.warning(
            "%d samples have the name of an earlier one, %d of them with another map: only the first of a name is used",
            *(repeated["samples"], repeated["of_another_map"]),
        )
    if more := report["more_annotators"]:
        logger.warning(
            "%d samples show more than %d annotators; they are treated like all others: %d are kept, %d left out",
            *(more["samples"], policy.annotators, more["kept"], more["samples"] - more["kept"]),
        )
    paper = report["paper_kept"]
    if report["samples"] == report["paper_samples"] and paper is not None and kept != paper:
        logger.warning("the paper kept %d of these samples, this policy keeps %d", paper, kept)


def every_policy(policy: Labels) -> dict[str, Labels]:
    """All choices that the paper leaves open, named: "all_zero keep, saturated drop, unclear drop, scores use"."""
    choices = product(*3 * [("keep", "drop")], ("use", "ignore"))
    return {
        f"all_zero {zero}, saturated {full}, unclear {unclear}, scores {scores}": policy.model_copy(
            update={"ambiguous": Ambiguous(all_zero=zero, saturated=full, unclear=unclear), "scores": scores}
        )
        for zero, full, unclear, scores in choices
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
    mask, digest = annotators.binarize(pixels, policy), hashlib.sha256(content).digest()
    return Analysed(id_, found, np.packbits(mask), mask.shape, annotators.count_levels(pixels), digest)


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
        found.more,
    )


def _left_out(id_: str, reason: str) -> tuple:
    """The row of a sample that no evidence is weighed of."""
    return (id_, None, "none", False, reason, *4 * [None])


def _summarize(
    split: str, policy: Labels, unusable: list[Unusable], repeated: list[bool], evidence: list[Evidence]
) -> dict:
    verdicts = [annotators.decide(found, policy) for found in evidence]
    kept, dropped = ([v.reason for v in verdicts if v.kept is value] for value in (True, False))
    others = [sample.reason for sample in unusable] + [REPEATED] * len(repeated)
    more = [verdict.kept for found, verdict in zip(evidence, verdicts, strict=True) if found.more]
    return {
        "split": split,
        "policy": policy.model_dump(),
        "samples": len(verdicts) + len(others),
        "kept": len(kept),
        "paper_samples": RELEASED.get(split),
        "paper_kept": PAPER_KEPT.get(split),
        "reasons": {"kept": _count(kept), "dropped": _count(dropped) | _count(others)},
        "annotators": _count(str(v.annotators or "unknown") for v in verdicts),
        "more_annotators": {"samples": len(more), "kept": sum(more)} if more else None,
        "repeated": {"samples": len(repeated), "of_another_map": sum(repeated)} if repeated else None,
        "kept_under": {
            name: sum(annotators.decide(found, other).kept for found in evidence)
            for name, other in every_policy(policy).items()
        },
    }


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))

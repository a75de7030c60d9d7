"""The paper's statements (config/paper/claims.yaml), judged on the run's own detectors.

A claim comes apart into cases, and a case into comparisons: the mean IoU of some detectors above `times` the
mean IoU of others. A comparison holds if the 95 % interval of that difference lies above 0, fails if it lies
below, and is undecided otherwise. A case holds if all its comparisons do, and fails if one of them does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from blemish.errors import UserError
from blemish.evaluation.intervals import paired_draws, percentiles
from blemish.experiments import Detector, combinations
from blemish.report.tables import signed
from blemish.report.text import escape_markdown, markdown, without_repeats

VERDICTS = ("fails", "not run", "undecided")  # what keeps a case from holding, strongest first
HEADER = ["Claim", "Source", "Case", "Weakest comparison", "Difference", "Gain", "Paper's numbers", "Verdict"]
LEGEND = (
    "Difference: IoU of the artifact class, percentage points, of the case's weakest comparison, with its "
    "paired 95 % bootstrap interval over the test images (and over the seeds, where there are several). "
    "A case holds if every comparison's interval lies above 0, fails if one lies below, and is undecided "
    "otherwise. Gain: relative. Paper's numbers: whether its own tables bear the claim out, no intervals."
)

PerSeed = Mapping[Detector, Sequence[pd.DataFrame]]
"""Per detector the per-image counts of each of its seeds, with columns id, tp, fp, fn (pixels)."""


class Comparison(NamedTuple):
    """mean IoU of `higher` > `times` * mean IoU of `lower`."""

    higher: tuple[Detector, ...]
    lower: tuple[Detector, ...]
    times: float = 1.0


def cases(name: str, claim: Mapping) -> dict[str, list[Comparison]]:
    """The comparisons of each case of a claim; a case is named by what `over` filled in ("" without `over`).

    Raises:
        UserError: the claim has none of the forms that config/paper/claims.yaml describes.
    """
    return {
        ", ".join(filled.values()): list(_comparisons(name, claim, filled))
        for filled in combinations(claim.get("over", {}))
    }


def _comparisons(name: str, claim: Mapping, filled: Mapping[str, str]) -> Iterator[Comparison]:
    def side(key: str) -> list[Detector]:
        more = combinations(claim.get("across", {}))
        return [_detector(name, text, {**filled, **extra}) for text in claim[key] for extra in more]

    times = float(claim.get("times", 1))
    forms = {"order", "all", "mean", "above"} & set(claim)
    if forms == {"order"}:
        for higher, lower in itertools.pairwise(side("order")):
            yield Comparison((higher,), (lower,), times)
    elif forms == {"all", "above"}:
        for higher, lower in itertools.product(side("all"), side("above")):
            yield Comparison((higher,), (lower,), times)
    elif forms == {"mean", "above"}:
        yield Comparison(tuple(side("mean")), tuple(side("above")), times)
    else:
        raise UserError(
            f"claims: {name} has {', '.join(sorted(forms)) or 'no comparison'}: give it either order, or "
            "all and above, or mean and above (config/paper/claims.yaml says how)."
        )


def _detector(name: str, text: str, filled: Mapping[str, str]) -> Detector:
    try:
        return Detector(*text.format(**filled).split("/"))
    except (KeyError, TypeError) as error:
        raise UserError(
            f"claims: {name}: {text!r} does not name a detector: write train_set/supervision/backbone, and give "
            "every {name} in it a list in `over` or `across`."
        ) from error


def bootstrap(results: PerSeed) -> dict[Detector, np.ndarray]:
    """The IoU of each detector in %, followed by bootstrap draws of it (`intervals.paired_draws`).

    Raises:
        UserError: the detectors were not evaluated on the same images.
    """
    ids = sorted(next(iter(results.values()))[0]["id"])
    counts = {}
    for detector, seeds in results.items():
        frames = [frame.sort_values("id") for frame in seeds]
        if any(list(frame["id"]) != ids for frame in frames):
            raise UserError(
                f"claims: {'/'.join(detector)} was evaluated on other test images than the other detectors. "
                "Delete its per_image.parquet and run again."
            )
        counts[detector] = np.array([[f["tp"], f["tp"] + f["fp"] + f["fn"]] for f in frames], dtype=float)
    return paired_draws(counts)


def difference(comparison: Comparison, ious: Mapping[Detector, np.ndarray]) -> tuple[float, float, float]:
    """Estimate and 95 % percentile interval of mean(higher) - times * mean(lower), in points of IoU."""
    higher, lower = _means(comparison, ious)
    contrast = higher - comparison.times * lower
    return float(contrast[0]), *percentiles(contrast[1:])


def _means(comparison: Comparison, numbers: Mapping[Detector, float | np.ndarray]) -> list[float | np.ndarray]:
    """The means of the higher and of the lower side's numbers."""
    return [np.mean([numbers[name] for name in side], axis=0) for side in (comparison.higher, comparison.lower)]


def verdict(low: float, high: float) -> str:
    """holds if the interval of a difference lies above 0, fails if below, else undecided."""
    return "holds" if low > 0 else "fails" if high < 0 else "undecided"


def conjunction(verdicts: Sequence[str]) -> str:
    """The verdict of a case: the first of fails, not run, undecided that any comparison has, else holds."""
    return next((name for name in VERDICTS if name in verdicts), "holds")


def judge(claims: Mapping[str, Mapping], results: PerSeed, paper: Mapping[Detector, float]) -> pd.DataFrame:
    """Judges every claim.

    Args:
        claims: config/paper/claims.yaml's `claims`.
        results: the per-image counts.
        paper: the paper's IoU in % of each detector.

    Returns:
        One row per comparison: `claim`, `statement`, `section`, `note`, `case`, `higher`, `lower`, `times`;
        in %: `difference`, `low`, `high`, `gain` (relative, of the higher side over the lower),
        `paper_difference`; `verdict` (holds, fails, undecided, or not run where a detector is missing) and
        `case_verdict`.

    Raises:
        UserError: a claim is malformed, or the detectors were evaluated on different images.
    """
    ious = bootstrap(results)
    rows = []
    for name, claim in claims.items():
        texts = {key: claim.get(key, "") for key in ("statement", "section", "note")}
        for case, comparisons in cases(name, claim).items():
            judged = [_judge(comparison, ious, paper) for comparison in comparisons]
            whole = conjunction([row["verdict"] for row in judged])
            rows += [{"claim": name, **texts, "case": case, **row, "case_verdict": whole} for row in judged]
    return pd.DataFrame(rows)


def _judge(comparison: Comparison, ious: Mapping[Detector, np.ndarray], paper: Mapping[Detector, float]) -> dict:
    higher, lower, times = comparison
    row = {
        **{side: " + ".join("/".join(name) for name in getattr(comparison, side)) for side in ("higher", "lower")},
        "times": times,
        **dict.fromkeys(("difference", "low", "high", "gain", "paper_difference"), np.nan),
        "verdict": "not run",
    }
    if paper.keys() >= {*higher, *lower}:
        above, below = _means(comparison, paper)
        row["paper_difference"] = above - times * below
    if ious.keys() >= {*higher, *lower}:
        estimate, low, high = difference(comparison, ious)
        above, below = _means(comparison, {name: ious[name][0] for name in higher + lower})
        gain = 100 * (above / below - 1) if below else np.nan
        row |= {"difference": estimate, "low": low, "high": high, "gain": gain, "verdict": verdict(low, high)}
    return row


def summarise(judged: pd.DataFrame) -> pd.DataFrame:
    """One row per case: the comparison that decides its verdict, the lowest interval if several do.

    `comparisons` is how many the case has; `paper` says whether the paper's own numbers bear all of them out:
    yes, no, or "" where it has none.
    """
    rows = []
    for _, case in judged.groupby(["claim", "case"], sort=False):
        deciding = case[case["verdict"] == case["case_verdict"]].sort_values("low").iloc[0].to_dict()
        numbers = case["paper_difference"]
        paper = "" if numbers.isna().any() else "yes" if (numbers > 0).all() else "no"
        rows.append({**deciding, "comparisons": len(case), "paper": paper})
    return pd.DataFrame(rows)


def to_markdown(judged: pd.DataFrame) -> str:
    """The cases as one table, with the count of each verdict before it and the claims' notes below it."""
    shown = summarise(judged)
    counts = shown["case_verdict"].value_counts()
    total = ", ".join(f"{counts[name]} {name}" for name in ("holds", *VERDICTS) if name in counts)
    notes = {row.claim: row.note for row in shown.itertuples() if row.note}
    marks = {name: f" ({i})" for i, name in enumerate(notes, start=1)}
    labels = [
        (escape_markdown(row.statement) + marks.get(row.claim, ""), row.section, escape_markdown(row.case))
        for row in shown.itertuples()
    ]
    rows = [[*texts, *_numbers(row)] for texts, row in zip(without_repeats(labels), shown.itertuples(), strict=True)]
    below = "".join(f"\n({i}) {escape_markdown(note)}\n" for i, note in enumerate(notes.values(), start=1))
    return f"{len(shown)} cases: {total}.\n\n{markdown(HEADER, rows, left=4)}\n{LEGEND}\n{below}"


def _numbers(row) -> list[str]:
    times = f"{row.times:g} × " if row.times != 1 else ""
    compared = f"{_short(row.higher)} above {times}{_short(row.lower)}"
    if row.verdict == "not run":
        return [compared, "–", "–", row.paper, "not run"]
    interval = f"{signed(row.difference)} [{signed(row.low)}, {signed(row.high)}]"
    gain = "–" if np.isnan(row.gain) else f"{row.gain:+.1f} %".replace("-", "−")
    return [compared, interval, gain, row.paper, f"**{row.case_verdict}**"]


def _short(side: str) -> str:
    several = side.count(" + ") + 1
    return f"the mean of {several}" if several > 1 else escape_markdown(side)

"""The audit of RichHF-18k's labels as a picture: how many samples each policy keeps, and maps that decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import PurePosixPath

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from blemish.data.tfrecords import read_examples
from blemish.labels.annotators import decode_map
from blemish.labels.binarize import REPEATED, UNUSABLE
from blemish.report.plots import OURS, STYLE

EXAMPLES = 6  # maps per verdict


def examples(audit: pd.DataFrame) -> dict[str, list[str]]:
    """The first `EXAMPLES` ids of every verdict: reason, what told it, number of annotators where known."""
    verdicts: dict[str, list[str]] = {}
    audit = audit[~audit["reason"].isin([*UNUSABLE, REPEATED])]
    for (reason, evidence, annotators), group in audit.groupby(["reason", "evidence", "annotators"], dropna=False):
        known = "" if pd.isna(annotators) else f"{annotators:.0f} annotators by {evidence}\n"
        verdicts[f"{known}{reason.replace('_', ' ')}: {len(group)}"] = list(group["id"].head(EXAMPLES))
    return verdicts


def read_maps(tfrecords: Iterable[str | PathLike], ids: Iterable[str]) -> dict[str, np.ndarray]:
    """The artifact maps of some samples, id -> (h, w) uint8; reads no further than needed."""
    wanted, maps = set(ids), {}
    for path in tfrecords:
        for _, example in read_examples(path):
            name = PurePosixPath(example["filename"].decode(errors="replace")).stem
            if name in wanted and name not in maps:
                with suppress(ValueError):  # of two of one name, the first that can be read counts
                    maps[name] = decode_map(example["artifact_map"])
            if len(maps) == len(wanted):
                return maps
    return maps


@matplotlib.rc_context(STYLE)
def draw(summary: Mapping, verdicts: Mapping[str, list[str]], maps: Mapping[str, np.ndarray]) -> Figure:
    """Samples kept under every policy, the histogram of the maps' levels, and example maps of every verdict."""
    figure = Figure(figsize=(9, 4.2 + 1.35 * len(verdicts)), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[4.2, 1.35 * len(verdicts)])
    policies, levels = above.subplots(1, 2, width_ratios=[3, 2])
    kept = summary["kept_under"]
    policies.barh(list(kept), list(kept.values()), color=OURS)
    policies.set(title=f"{summary['split']}: kept of {summary['samples']:,} samples, by policy")
    if summary["samples"] == summary["paper_samples"]:
        policies.axvline(summary["paper_kept"], color="black", linestyle="--", label="the paper's (§4.1)")
        policies.legend()
    levels.bar(range(256), summary["levels"], width=1.0, color=OURS)
    levels.set(title="Levels of all maps", xlabel="0 to 255", ylabel="pixels", yscale="log")
    for annotators, style in ((3, "-"), (2, ":")):
        for k in range(1, annotators):
            levels.axvline(255 * k / annotators, color="black", linestyle=style, linewidth=0.6)
    grid = below.subplots(len(verdicts), EXAMPLES, squeeze=False)
    for row, (verdict, ids) in zip(grid, verdicts.items(), strict=True):
        for ax in row:
            ax.axis("off")
        for ax, name in zip(row, ids, strict=False):
            ax.imshow(maps[name], cmap="magma", vmin=0, vmax=255, interpolation="nearest")
        row[0].set_title(verdict, loc="left", fontsize=8)
    return figure

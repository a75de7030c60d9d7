"""Tables 1-4: our numbers beside the paper's, as CSV, Markdown, LaTeX and text for the terminal.

`experiments` says what a table is made of.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from blemish.data.files import read_json
from blemish.errors import UserError
from blemish.experiments import Detector, label, walk
from blemish.report.text import escape_latex, escape_markdown, markdown, without_repeats

# What metrics.json holds: the IoU with its interval, other shares in %, and numbers of images.
IOU = ["iou", "iou_low", "iou_high"]
SHARES = ["mean_image_iou", "two_class_miou", "f1", "precision", "recall", "average_precision"]
COUNTS = ["images", "empty_truth"]

WIDTH = 130  # characters of the printed summary: Table 3 with several seeds


def read_metrics(paths: Mapping[Detector, Sequence[str | Path]]) -> dict[Detector, list[dict]]:
    """The metrics.json of each detector and seed.

    Raises:
        UserError: a file is missing or damaged.
    """
    keys = [*IOU, *SHARES, *COUNTS]
    return {detector: [read_json(path, keys) for path in seeds] for detector, seeds in paths.items()}


def assemble(
    table: Mapping,
    published: Mapping | None,
    metrics: Mapping[Detector, Sequence[Mapping]],
    trained: Mapping[Detector, int],
) -> pd.DataFrame:
    """One row per cell, in reading order (row by row): our number beside the paper's.

    Args:
        table: one table of config/paper/tables.yaml.
        published: the same table of config/paper/published.yaml, its rows and columns found by their labels; None
            for a table that the paper does not have.
        metrics: of each detector the contents of metrics.json, one per seed (see `evaluate.summarise`).
        trained: of each detector the number of its training images.

    Returns:
        Columns `row`, `column` (labels, with the number of training images for {images}), `train_set`,
        `supervision`, `backbone`, `train_images`, `seeds` (how many); in %:
        `ours` (IoU of the artifact class over all pixels, mean over seeds), `low`, `high` (its 95 % bootstrap
        interval over images, each bound the mean over seeds), `seed_sd` (standard deviation over seeds, NaN
        for one seed), `paper`, `difference` (ours - paper); `best`, `paper_best` (highest of its column);
        then SHARES and COUNTS, the means over seeds.

    Raises:
        UserError: a cell's detector has no metrics.
    """
    paper = _published(published or {})
    rows = []
    for row, column, cell in walk(table):
        if cell not in metrics:
            raise UserError(f"tables: no metrics.json of the detector {'/'.join(cell)}: evaluate it first.")
        seeds = pd.DataFrame(metrics[cell])[[*IOU, *SHARES, *COUNTS]].astype(float)
        means = seeds.mean()
        number = paper.get((label(row), label(column)), math.nan)
        rows.append(
            {
                "row": " / ".join(_counted(row, trained[cell])),
                "column": " / ".join(label(column)),
                **cell._asdict(),
                "train_images": trained[cell],
                "seeds": len(seeds),
                **dict(zip(("ours", "low", "high"), means[IOU], strict=True)),
                "seed_sd": seeds["iou"].std(),
                "paper": number,
                "difference": means["iou"] - number,
                **dict.fromkeys(("best", "paper_best")),  # of a column: known when all rows are
                **means[SHARES],
                **means[COUNTS].astype(int),
            }
        )
    frame = pd.DataFrame(rows)
    highest = frame.groupby("column")[["ours", "paper"]].transform("max")
    return frame.assign(best=frame["ours"] == highest["ours"], paper_best=frame["paper"] == highest["paper"])


def _counted(row: Mapping, images: int) -> list[str]:
    """A row's label with the number of training images where it says {images}."""
    return [text.replace("{images}", f"{images}") for text in label(row)]


def _published(published: Mapping) -> dict[tuple[tuple[str, ...], tuple[str, ...]], float]:
    """The paper's number of each (row label, column label)."""
    columns = [label({"label": texts}) for texts in published.get("columns", [])]
    return {
        (label(row), column): value
        for row in published.get("rows", [])
        for column, value in zip(columns, row["values"], strict=True)
    }


def published_numbers(tables: Mapping[str, Mapping], published: Mapping[str, Mapping]) -> dict[Detector, float]:
    """The paper's IoU in % of each detector that it reports."""
    found = {}
    for name, table in tables.items():
        detectors = {(label(row), label(column)): cell for row, column, cell in walk(table)}
        numbers = _published(published.get(name, {}))
        found |= {detectors[place]: number for place, number in numbers.items() if place in detectors}
    return found


def to_markdown(frame: pd.DataFrame, table: Mapping) -> str:
    """Our number with its interval beside the paper's, best in bold; title above, caption below."""
    header = [escape_markdown(name) for name in table["row_headers"]]
    for column in table["columns"]:
        name = escape_markdown(", ".join(label(column)))
        header += [f"{name}: ours", f"{name}: paper"]
    rows = []
    for labels, numbers in _lines(frame, table):
        shown = [f"**{' '.join(texts)}**" if bold else " ".join(texts) for texts, bold in numbers]
        rows.append([*map(escape_markdown, labels), *shown])
    body = markdown(header, rows, left=len(table["row_headers"]))
    return (
        f"### {escape_markdown(table['title'])} ({table['section']})\n\n{body}\n"
        f"{escape_markdown(table['caption'])} {_legend(frame)}\n"
    )


def to_latex(frame: pd.DataFrame, table: Mapping) -> str:
    """The same as a LaTeX table environment; it needs the package booktabs and nothing else."""
    left = len(table["row_headers"])
    columns = [label(column) for column in table["columns"]]
    caption = escape_latex(f"{table['title']}. {table['caption']} {_legend(frame)}")
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{'l' * left}{'rr' * len(columns)}}}",
        r"\toprule",
    ]
    for level in range(max(map(len, columns))):
        names, rules, start = [""] * left, [], left + 1
        for group, members in itertools.groupby(columns, key=lambda texts: texts[: level + 1]):
            width = 2 * len(list(members))
            name = escape_latex(group[level]) if level < len(group) else ""
            names.append(rf"\multicolumn{{{width}}}{{c}}{{{name}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines += [_row_latex(names), " ".join(rules)]
    headers = [*map(escape_latex, table["row_headers"]), *("Ours", "Paper") * len(columns)]
    lines += [_row_latex(headers), r"\midrule"]
    for labels, numbers in _lines(frame, table):
        shown = [(escape_latex(" ".join(texts)), bold) for texts, bold in numbers]
        shown = [rf"\textbf{{{text}}}" if bold else text for text, bold in shown]
        lines.append(_row_latex([*map(escape_latex, labels), *shown]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _row_latex(fields: Iterable[str]) -> str:
    return " & ".join(fields) + r" \\"


def to_rich(frame: pd.DataFrame, table: Mapping) -> RichTable:
    """The same for the terminal, the interval below its number, so that Table 3 fits WIDTH."""
    title, caption = Text(f"{table['title']} ({table['section']})"), Text(_legend(frame))
    shown = RichTable(title=title, caption=caption, box=box.SIMPLE_HEAD)
    for name in table["row_headers"]:
        shown.add_column(Text(name), no_wrap=True)
    for column in table["columns"]:
        names = label(column)
        shown.add_column(Text("\n".join([*names, "ours"])), justify="right", no_wrap=True)
        shown.add_column(Text("\n" * len(names) + "paper"), justify="right", no_wrap=True, style="dim")
    for labels, numbers in _lines(frame, table):
        cells = (Text("\n".join(texts), style="bold" if bold else "") for texts, bold in numbers)
        shown.add_row(*map(Text, labels), *cells)
    return shown


def _lines(frame: pd.DataFrame, table: Mapping) -> Iterator[tuple[list[str], list[tuple[list[str], bool]]]]:
    """Of each row its labels, and its numbers as (texts, bold): ours, paper, ours, paper, ..."""
    width = len(table["columns"])
    counts = frame["train_images"].iloc[::width]
    labels_of = [_counted(row, images) for row, images in zip(table["rows"], counts, strict=True)]
    for i, labels in enumerate(without_repeats(labels_of)):
        numbers = []
        for cell in frame.iloc[i * width : (i + 1) * width].itertuples():
            spread = f" ± {cell.seed_sd:.2f}" if cell.seeds > 1 else ""
            numbers.append(([f"{cell.ours:.2f}{spread}", f"[{cell.low:.2f}, {cell.high:.2f}]"], cell.best))
            if math.isnan(cell.paper):
                numbers.append((["–"], False))
            else:
                numbers.append(([f"{cell.paper:.2f}", f"({signed(cell.difference)})"], cell.paper_best))
        yield labels, numbers


def signed(number: float) -> str:
    """Two decimals with their sign, a true minus, and no negative zero."""
    return f"{round(number, 2) + 0.0:+.2f}".replace("-", "−")


def _legend(frame: pd.DataFrame) -> str:
    counts = sorted(set(frame["images"]))
    images = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    seeds = "mean over seeds ± standard deviation, " if (frame["seeds"] > 1).any() else ""
    return (
        f"Ours: {seeds}95 % bootstrap interval over {images} test images in brackets. "
        "Paper: its number, and ours minus it in parentheses. Bold: best of the column."
    )


def to_text(printed: Iterable[RichTable]) -> str:
    """Tables for the terminal as plain text, WIDTH characters wide."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
    for shown in printed:
        console.print(shown)
    return console.file.getvalue()

"""Tables: their numbers say what the metrics and the paper say, in every format."""

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blemish.errors import UserError
from blemish.experiments import Detector, detectors
from blemish.report import tables
from blemish.report.text import escape_latex, escape_markdown, markdown, without_repeats

ROOT = Path(__file__).parents[3]
TABLES = yaml.safe_load((ROOT / "config/paper/tables.yaml").read_text())["tables"]
PUBLISHED = yaml.safe_load((ROOT / "config/paper/published.yaml").read_text())["published"]

SMALL = {
    "title": "A_b & c",
    "caption": "100 % of | it.",
    "section": "§1",
    "row_headers": ["Set", "How"],
    "columns": [
        {"label": ["G", "Swin-T"], "backbone": "swin-t", "train_set": "hps"},
        {"label": ["G", "ConvNeXt"], "backbone": "convnext-t", "train_set": "hps"},
    ],
    "rows": [
        {"label": ["HPS", "pseudo|x"], "supervision": "pseudo"},
        {"label": ["HPS", "human"], "supervision": "human", "train_set": "richhf-human"},
    ],
}
SMALL_PUBLISHED = {
    "columns": [["G", "Swin-T"], ["G", "ConvNeXt"]],
    "rows": [{"label": ["HPS", "human"], "values": [20.0, 30.0]}],
}


def metrics(iou: float, images: int = 500) -> dict:
    shares = dict.fromkeys(tables.SHARES, 40.0)
    return {
        "iou": iou,
        "iou_low": iou - 2,
        "iou_high": iou + 3,
        **shares,
        "images": images,
        "empty_truth": 7,
    }


def small(seeds: int = 1) -> pd.DataFrame:
    ious = {"pseudo": 10.0, "human": 25.0}
    found = {
        cell: [metrics(ious[cell.supervision] + 2 * seed) for seed in range(seeds)] for cell in detectors({"": SMALL})
    }
    return tables.assemble(SMALL, SMALL_PUBLISHED, found, dict.fromkeys(found, 64))


def test_a_label_says_how_many_images_its_detector_was_trained_on():
    numbers = tables.published_numbers(TABLES, PUBLISHED)
    found = {detector: [metrics(number)] for detector, number in numbers.items()}
    trained = {detector: {"richhf-human": 50, "richhf": 71, "hps": 64}[detector.train_set] for detector in found}
    frame = tables.assemble(TABLES["table1"], PUBLISHED["table1"], found, trained)
    assert list(frame["row"][::2]) == [
        "RichHF-50 / Human labels",
        "HPS / Pseudo labels",
        "HPS / Pseudo labels + Corr.",
        "RichHF-71 / Pseudo labels",
        "RichHF-71 / Pseudo labels + Corr.",
    ]
    assert list(frame["train_images"][::2]) == [50, 64, 64, 71, 71] and frame["paper"].notna().all()
    for text in (tables.to_markdown(frame, TABLES["table1"]), tables.to_latex(frame, TABLES["table1"])):
        assert "RichHF-50" in text and "RichHF-71" in text and "images}" not in text and "RichHF-100" not in text


def test_the_paper_reports_one_number_per_detector():
    numbers = {}
    for name, table in TABLES.items():
        one = tables.published_numbers({name: table}, PUBLISHED)
        assert len(one) == len(detectors({"": table}))
        for detector, number in one.items():
            assert numbers.setdefault(detector, number) == number
    assert set(numbers) == set(detectors(TABLES))


def test_published_has_48_numbers_of_the_shape_of_the_tables():
    assert sum(len(row["values"]) for table in PUBLISHED.values() for row in table["rows"]) == 48
    for name, table in TABLES.items():
        assert [row["label"] for row in PUBLISHED[name]["rows"]] == [row["label"] for row in table["rows"]]
        assert PUBLISHED[name]["columns"] == [column["label"] for column in table["columns"]]


def test_assembled_numbers_lie_beside_the_papers():
    frame = small()
    assert list(frame["ours"]) == [10, 10, 25, 25]
    assert list(frame["low"]) == [8, 8, 23, 23]
    assert list(frame["high"]) == [13, 13, 28, 28]
    assert list(frame["difference"][2:]) == [5, -5]
    assert frame["paper"][:2].isna().all() and frame["seed_sd"].isna().all()
    assert list(frame["best"]) == [False, False, True, True]
    assert list(frame["paper_best"]) == [False, False, True, True]
    assert set(tables.SHARES + tables.COUNTS) <= set(frame.columns)


def test_seeds_are_averaged_and_their_spread_shown():
    frame = small(seeds=3)
    assert list(frame["ours"]) == [12, 12, 27, 27]
    assert all(math.isclose(spread, 2) for spread in frame["seed_sd"])
    assert "27.00 ± 2.00 [25.00, 30.00]" in tables.to_markdown(frame, SMALL)


def test_a_table_that_the_paper_does_not_have():
    found = {cell: [metrics(10.0)] for cell in detectors({"": SMALL})}
    frame = tables.assemble(SMALL, None, found, dict.fromkeys(found, 64))
    assert frame["paper"].isna().all() and not frame["paper_best"].any()
    assert tables.to_markdown(frame, SMALL).count("| – |") == 4
    assert "nan" not in tables.to_latex(frame, SMALL)


def test_missing_metrics_are_named():
    with pytest.raises(UserError, match="hps/pseudo/swin-t"):
        tables.assemble(SMALL, SMALL_PUBLISHED, {}, {})


def test_markdown_has_bold_best_and_blanks_repeats():
    text = tables.to_markdown(small(), SMALL)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[2].startswith(r"| HPS | pseudo\|x | 10.00 [8.00, 13.00] | – |")
    assert rows[3].startswith("|  | human | **25.00 [23.00, 28.00]** | **20.00 (+5.00)** |")
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_latex_is_balanced_and_escaped():
    text = tables.to_latex(small(), SMALL)
    assert r"A\_b \& c" in text and r"100 \% of" in text
    assert r"\multicolumn{4}{c}{G}" in text and r"\cmidrule(lr){3-6}" in text
    assert r"\textbf{30.00 ($-$5.00)}" in text
    assert text.count("{") == text.count("}")
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines()[1:]} == {5}


def test_terminal_text_holds_every_number_of_table_3():
    numbers = tables.published_numbers(TABLES, PUBLISHED)
    found = {detector: [metrics(number), metrics(number + 1)] for detector, number in numbers.items()}
    frame = tables.assemble(TABLES["table3"], PUBLISHED["table3"], found, dict.fromkeys(found, 7701))
    text = tables.to_text([tables.to_rich(frame, TABLES["table3"])])
    assert "…" not in text and max(map(len, text.splitlines())) <= tables.WIDTH
    for cell in frame.itertuples():
        assert f"{cell.ours:.2f} ± 0.71" in text and f"{cell.paper:.2f}" in text


def test_metrics_are_read_seed_by_seed_and_incomplete_ones_refused(tmp_path):
    detector = Detector("hps", "pseudo", "swin-t")
    paths = [tmp_path / f"{seed}.json" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        path.write_text(json.dumps(metrics(10.0 + seed)))
    assert [found["iou"] for found in tables.read_metrics({detector: paths})[detector]] == [10, 11]
    paths[1].write_text(json.dumps({"iou": 10.0}))
    with pytest.raises(UserError, match=r"1\.json"):
        tables.read_metrics({detector: paths})


def test_signed_has_no_negative_zero():
    assert [tables.signed(x) for x in (-0.001, 0.004, -1.239, 2)] == ["+0.00", "+0.00", "−1.24", "+2.00"]


@given(st.text(alphabet="ab|*_\\`<>[] \n"))
def test_markdown_cells_never_break_the_row(text):
    row = markdown(["a"], [[escape_markdown(text)]]).splitlines()
    assert len(row) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row[2])) == 2


@given(st.text(alphabet="ab\\{}$&%#_~^§−±"))
def test_latex_text_has_no_bare_specials(text):
    escaped = escape_latex(text)
    for known in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\S{}", "$-$", r"$\pm$"):
        escaped = escaped.replace(known, "")
    assert not re.search(r"(?<!\\)[{}$&%#_~^]", escaped)


def test_a_group_returns_after_another():
    assert without_repeats([("a", "x"), ("a", "y"), ("b", "y"), ("a", "z")]) == [
        ["a", "x"],
        ["", "y"],
        ["b", "y"],
        ["a", "z"],
    ]

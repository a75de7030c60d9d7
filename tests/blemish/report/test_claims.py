"""Claims: they come apart into the right comparisons, and are judged by what the detectors did."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.errors import UserError
from blemish.experiments import Detector
from blemish.report import claims, tables

ROOT = Path(__file__).parents[3]
TABLES = yaml.safe_load((ROOT / "config/paper/tables.yaml").read_text())["tables"]
PUBLISHED = yaml.safe_load((ROOT / "config/paper/published.yaml").read_text())["published"]
CLAIMS = yaml.safe_load((ROOT / "config/paper/claims.yaml").read_text())["claims"]
PAPER = tables.published_numbers(TABLES, PUBLISHED)

A, B, C = (Detector("hps", name, "swin-t") for name in ("a", "b", "c"))


def per_image(share: float, seed: int = 0, images: int = 120) -> pd.DataFrame:
    """A detector that finds about `share` of the artifact pixels of each image, and marks some others."""
    truth = np.random.default_rng(99).integers(50, 300, images)
    rng = np.random.default_rng(seed)
    tp = np.round(truth * np.clip(share + rng.normal(0, 0.1, images), 0, 1)).astype(int)
    return pd.DataFrame(
        {
            "id": [f"{i:03}" for i in range(images)],
            "tp": tp,
            "fp": rng.integers(0, 40, images),
            "fn": truth - tp,
        }
    )


def judge(claim: dict, **shares) -> pd.DataFrame:
    results = {
        Detector("hps", name, "swin-t"): [per_image(share, seed) for seed in range(2)] for name, share in shares.items()
    }
    return claims.judge({"x": {"statement": "s", "section": "§1", **claim}}, results, {})


def test_every_claim_is_about_detectors_of_the_tables():
    known = set(tables.detectors(TABLES))
    for name, claim in CLAIMS.items():
        assert claim["statement"] and claim["section"]
        for comparisons in claims.cases(name, claim).values():
            assert comparisons
            assert {detector for c in comparisons for detector in c.higher + c.lower} <= known


def test_where_the_papers_numbers_contradict_its_prose():
    results = {detector: [per_image(0.5)] for detector in PAPER}
    cases = claims.summarise(claims.judge(CLAIMS, results, PAPER))
    contradicted = cases[cases["paper"] == "no"]
    assert set(cases["paper"]) == {"yes", "no"}
    assert list(zip(contradicted["claim"], contradicted["case"], strict=True)) == [
        ("every-step-above-pseudo", "hps, swin-t")
    ]
    assert contradicted["note"].iloc[0]


def test_table_2s_order_is_four_pairs_per_backbone():
    cases = claims.cases("methods-order", CLAIMS["methods-order"])
    assert list(cases) == ["convnext-t", "swin-t"]
    assert [(c.higher[0].supervision, c.lower[0].supervision) for c in cases["swin-t"]] == [
        ("proposed-40", "human"),
        ("human", "rotation-30"),
        ("rotation-30", "gaussian-30"),
        ("gaussian-30", "blur-30"),
    ]


def test_on_average_compares_means_over_sets_and_backbones():
    (comparison,) = claims.cases("x", CLAIMS["late-steps-on-average"])[""]
    assert {d.supervision for d in comparison.higher} == {"proposed-45", "proposed-40"}
    assert {d.supervision for d in comparison.lower} == {"proposed-35", "proposed-30"}
    assert len(set(comparison.higher)) == len(set(comparison.lower)) == 8


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ({"a": 0.8, "b": 0.5, "c": 0.2}, "holds"),
        ({"a": 0.5, "b": 0.8, "c": 0.2}, "fails"),
        ({"a": 0.5, "b": 0.5, "c": 0.2}, "undecided"),
        ({"a": 0.8, "b": 0.5}, "not run"),
        ({"a": 0.5, "b": 0.8}, "fails"),
    ],
)
def test_an_order_holds_only_if_each_pair_does(shares, verdict):
    judged = judge({"order": ["hps/a/swin-t", "hps/b/swin-t", "hps/c/swin-t"]}, **shares)
    assert len(judged) == 2
    assert set(judged["case_verdict"]) == {verdict}


def test_the_deciding_comparison_stands_for_the_case():
    judged = judge({"all": ["hps/a/swin-t"], "above": ["hps/b/swin-t", "hps/c/swin-t"]}, a=0.5, b=0.9, c=0.1)
    (case,) = claims.summarise(judged).itertuples()
    assert (case.lower, case.case_verdict, case.comparisons) == ("hps/b/swin-t", "fails", 2)
    assert "**fails**" in claims.to_markdown(judged) and "1 cases: 1 fails." in claims.to_markdown(judged)


def test_times_asks_for_a_relative_gain():
    order = ["hps/a/swin-t", "hps/b/swin-t"]
    assert set(judge({"order": order}, a=0.6, b=0.5)["verdict"]) == {"holds"}
    asked = judge({"order": order, "times": 1.5}, a=0.6, b=0.5)
    assert set(asked["verdict"]) == {"fails"}
    assert 10 < asked["gain"].iloc[0] < 40


def test_a_difference_is_that_of_the_summed_counts_whatever_the_order_of_images():
    a, b = per_image(0.55, 1), per_image(0.5, 2)
    ious = claims.bootstrap({A: [a], B: [b.sample(frac=1, random_state=0)]})
    estimate, low, high = claims.difference(claims.Comparison((A,), (B,)), ious)
    expected = [100 * f["tp"].sum() / (f["tp"] + f["fp"] + f["fn"]).sum() for f in (a, b)]
    assert estimate == pytest.approx(expected[0] - expected[1], abs=1e-9) and low < estimate < high
    assert claims.bootstrap({A: [a], B: [b]})[B] == pytest.approx(ious[B])


def test_pairing_takes_out_what_both_share():
    frame = per_image(0.5)
    _, low, high = claims.difference(claims.Comparison((A,), (B,)), claims.bootstrap({A: [frame], B: [frame]}))
    assert low == high == 0


def test_seeds_that_disagree_widen_the_interval():
    def width(shares):
        frames = [per_image(share, seed) for seed, share in enumerate(shares)]
        _, low, high = claims.difference(
            claims.Comparison((A,), (B,)), claims.bootstrap({A: frames, B: [per_image(0.5, 9)]})
        )
        return high - low

    assert width([0.4, 0.6, 0.5]) > 2 * width([0.5, 0.5, 0.5])


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(120)))
def test_the_order_of_images_and_of_detectors_is_nothing(order):
    a, b = per_image(0.55, 1), per_image(0.5, 2)
    comparison = claims.Comparison((A,), (B,))
    first = claims.difference(comparison, claims.bootstrap({A: [a, b], B: [b]}))
    second = claims.difference(comparison, claims.bootstrap({B: [b.iloc[order]], C: [b], A: [a, b]}))
    assert first == pytest.approx(second, abs=1e-9)


def test_different_test_images_are_refused():
    with pytest.raises(UserError, match="hps/b/swin-t was evaluated on other test images"):
        claims.bootstrap({A: [per_image(0.5)], B: [per_image(0.5).iloc[1:]]})


@pytest.mark.parametrize(
    ("claim", "complaint"),
    [
        ({"order": ["hps/a"]}, "'hps/a' is no detector"),
        ({"order": ["hps/a/{backbone}", "hps/b/{backbone}"]}, "'hps/a/{backbone}' is no detector"),
        ({"all": ["hps/a/swin-t"]}, "x has all: give it either order"),
        ({}, "x has no comparison"),
    ],
)
def test_malformed_claims_are_explained(claim, complaint):
    with pytest.raises(UserError, match=complaint):
        claims.cases("x", claim)

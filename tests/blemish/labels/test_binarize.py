"""A simulated RichHF split goes in, masks and an audit that accounts for every sample come out."""

import csv
import json
import logging

import numpy as np
import pytest
from benchmarks.simulated_richhf import encode_map, example, simulate
from paper import labels

from blemish.data.records import read_ids, read_records
from blemish.data.tfrecords import read_examples, write_examples
from blemish.errors import UserError
from blemish.labels import binarize
from blemish.labels.binarize import label_split

POLICY = labels(ambiguous={"all_zero": "keep", "saturated": "drop", "unclear": "drop"}, unreadable_allowed=0.0)


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(1)
    return {f"u{i}": simulate(rng, 1 + i % 3, side=128) for i in range(40)}


@pytest.fixture
def records(truth, tmp_path):
    path = tmp_path / "train.tfrecord"
    write_examples(path, (example(s, f"train/{id_}.png", None) for id_, s in truth.items()))
    return path


def label(records, folder, policy=POLICY, split="train", processes=1):
    folder.mkdir(exist_ok=True)
    paths = [folder / name for name in ("labels.parquet", "audit.csv", "summary.json")]
    label_split([records], split, policy, *paths, processes)
    with open(paths[1], newline="") as file:
        return paths[0], list(csv.DictReader(file)), json.loads(paths[2].read_text())


def test_kept_masks_are_the_truths(records, truth, tmp_path):
    labels, audit, _ = label(records, tmp_path / "a")
    kept = list(read_records(labels))
    assert [r.id for r in kept] == [row["id"] for row in audit if row["kept"] == "True"]
    assert len(kept) > 10
    for record in kept:
        np.testing.assert_array_equal(record.mask, truth[record.id].mask())
        assert record.image is None and record.source == f"richhf:train/{record.id}"
    with_evidence = {row["id"] for row in audit if row["reason"] == "enough_annotators"}
    assert all(truth[id_].annotators == 3 for id_ in with_evidence)


def test_the_audit_accounts_for_every_sample(records, truth, tmp_path):
    labels, audit, summary = label(records, tmp_path / "a")
    assert [row["id"] for row in audit] == list(truth)
    assert summary["samples"] == 40 and summary["kept"] == len(read_ids(labels))
    reasons = summary["reasons"]
    assert sum(reasons["kept"].values()) == summary["kept"]
    assert sum(reasons["kept"].values()) + sum(reasons["dropped"].values()) == 40
    assert sum(summary["annotators"].values()) == 40
    assert sum(summary["levels"]) == 40 * 128 * 128
    assert {i for i, n in enumerate(summary["levels"]) if n} <= {0, 85, 128, 170, 255}
    assert (summary["paper_samples"], summary["paper_kept"]) == (15810, 7801)
    assert summary["repeated"] is summary["more_annotators"] is None


def test_the_count_under_every_policy_is_what_that_policy_keeps(records, tmp_path):
    _, _, summary = label(records, tmp_path / "a")
    assert len(summary["kept_under"]) == 16 and len(set(summary["kept_under"].values())) > 2
    for i, (name, policy) in enumerate(binarize.every_policy(POLICY).items()):
        _, _, other = label(records, tmp_path / f"p{i}", policy)
        assert other["kept"] == summary["kept_under"][name]
        assert other["kept_under"] == summary["kept_under"]


def test_processes_change_nothing(records, tmp_path, monkeypatch):
    monkeypatch.setattr(binarize, "BATCH", 7)
    label(records, tmp_path / "one")
    label(records, tmp_path / "two", processes=2)
    for name in ("labels.parquet", "audit.csv", "summary.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.fixture
def kept(records, tmp_path):
    """How many of the samples the policy keeps."""
    return label(records, tmp_path / "kept")[2]["kept"]


def test_the_released_files_stop_at_another_count_than_the_papers(records, kept, tmp_path, monkeypatch):
    """The audit stays to be looked at, under names that no job takes for results; accepting the count goes on."""
    monkeypatch.setattr(binarize, "RELEASED", {"train": 40})
    monkeypatch.setattr(binarize, "PAPER_KEPT", {"train": 2 * kept})
    with pytest.raises(UserError) as error:
        label(records, tmp_path / "a")
    sentence, *table = str(error.value).splitlines()
    refused = {"audit.csv.refused", "summary.json.refused"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == refused
    summary = json.loads((tmp_path / "a/summary.json.refused").read_text())
    assert summary["kept"] == kept
    with open(tmp_path / "a/audit.csv.refused", newline="") as file:
        assert len(list(csv.DictReader(file))) == 40
    assert sentence.startswith(f"{kept} of the 40 train samples are kept and the paper kept {2 * kept} (§4.1): choose")
    assert f"`labels: {{accept_count: {{train: {kept}}}}}`" in sentence and "audit.csv.refused" in sentence
    assert len(table) == 16 and [row for row in table if row.endswith("(this run)")] == [
        f"  {kept:>6}   -50.0 %  all_zero keep, saturated drop, unclear drop, scores use (this run)"
    ]
    distances = [abs(int(row.split()[0]) - 2 * kept) for row in table]
    assert distances == sorted(distances)
    accepting = labels(**POLICY.model_dump() | {"accept_count": {"train": kept}})
    assert label(records, tmp_path / "a", accepting)[2]["kept"] == kept
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"labels.parquet", "audit.csv", "summary.json"}


@pytest.mark.parametrize(
    ("released", "paper", "accepted", "stops"),
    [
        ({"train": 15810}, 2, {}, False),  # others' files
        ({"train": 40}, 1, {}, False),  # the paper's count itself
        ({"train": 40}, 2, {}, True),
        ({"train": 40}, 2, {"test": 1}, True),  # accepted for the other split
        ({"train": 40}, 2, {"train": 1}, False),
        ({"train": 40}, 2, {"train": 3}, True),  # another policy's count was accepted
        ({"train": 40}, 1, {"train": 3}, False),
    ],
)
def test_only_a_count_that_neither_paper_nor_config_names_stops(
    records, kept, tmp_path, monkeypatch, released, paper, accepted, stops
):
    """The paper's and the accepted count are multiples of what is kept."""
    monkeypatch.setattr(binarize, "RELEASED", released)
    monkeypatch.setattr(binarize, "PAPER_KEPT", {"train": paper * kept, "test": 500})
    policy = labels(
        **POLICY.model_dump() | {"accept_count": {split: times * kept for split, times in accepted.items()}}
    )
    if stops:
        with pytest.raises(UserError, match="and the paper kept"):
            label(records, tmp_path / "a", policy)
    else:
        assert label(records, tmp_path / "a", policy)[2]["kept"] == kept


def test_the_released_counts_within_two_percent_are_the_papers():
    report = {"split": "train", "samples": 15810, "paper_samples": 15810, "paper_kept": 7801}
    limits = [(7645, False), (7644, True), (7957, False), (7958, True)]
    for number, stops in limits:
        assert binarize._is_another_count(report | {"kept": number}, POLICY) is stops
    assert not binarize._is_another_count(report | {"split": "dev", "paper_kept": None, "kept": 1}, POLICY)
    assert not binarize._is_another_count(report | {"samples": 15809, "kept": 1}, POLICY)


def test_a_small_difference_is_told_in_the_log(records, kept, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(binarize, "RELEASED", {"train": 40, "dev": 40})
    monkeypatch.setattr(binarize, "PAPER_KEPT", {"train": kept + 1})
    monkeypatch.setattr(binarize, "APART", 0.5)
    with caplog.at_level(logging.WARNING):
        _, _, summary = label(records, tmp_path / "dev", split="dev")
        assert caplog.text == "" and (summary["paper_samples"], summary["paper_kept"]) == (40, None)
        label(records, tmp_path / "a")
    assert f"the paper kept {kept + 1} of these samples, this policy keeps {kept}" in caplog.text


@pytest.mark.parametrize("processes", [1, 2])
def test_a_bad_record_is_named_by_file_and_offset(truth, tmp_path, processes):
    sample = next(iter(truth.values()))
    good = example(sample, "train/good.png", None)
    path = tmp_path / "train.tfrecord"
    for change, sentence in (
        ({"artifact_map": b"raw pixels"}, "begins with 72 61 77"),
        ({"artifact_map": encode_map(sample.map, 90)[:300]}, "not an image that can be read"),
        ({"artifact_map": None}, "has no 'artifact_map'"),
        ({"overall_score": None}, "has no 'overall_score'"),
    ):
        bad = {key: value for key, value in {**good, **change}.items() if value is not None}
        write_examples(path, [good, bad])
        offset = [offset for offset, _ in read_examples(path)][1]
        with pytest.raises(UserError, match=sentence) as error:
            label(path, tmp_path / "a", processes=processes)
        assert f"at byte {offset:,} of {path}" in str(error.value)
        assert all(file.name.endswith(".refused") for file in (tmp_path / "a").iterdir())


@pytest.mark.parametrize("processes", [1, 2])
def test_of_one_name_the_first_that_can_be_read_counts(truth, tmp_path, caplog, processes, monkeypatch):
    """The next ones are left out and counted, whatever they hold: here the same map, another, and one of `dev`."""
    monkeypatch.setattr(binarize, "BATCH", 2)
    first, other = [s for s in truth.values() if s.annotators == 3 and s.mask().any() and not s.mask().all()][:2]
    broken = example(first, "train/u.png", None) | {"artifact_map": b"no image"}
    again = [("train/u.png", first), ("train/u.png", other), ("dev/u.png", other), ("train/v.png", other)]
    path = tmp_path / "train.tfrecord"
    write_examples(path, [broken, example(first, "train/u.png", None), *(example(s, n, None) for n, s in again)])
    policy = labels(**POLICY.model_dump() | {"unreadable_allowed": 0.5})
    with caplog.at_level(logging.WARNING):
        made, audit, summary = label(path, tmp_path / "a", policy, processes=processes)
    assert [(record.id, record.mask.tolist()) for record in read_records(made)] == [
        ("u", first.mask().tolist()),
        ("v", other.mask().tolist()),
    ]
    assert [row["reason"] for row in audit][2:5] == 3 * ["repeated_name"]
    assert summary["samples"] == 6 and summary["repeated"] == {"samples": 3, "of_another_map": 2}
    assert summary["reasons"]["dropped"] == {"repeated_name": 3, "unreadable_map": 1}
    assert "3 samples have the name of an earlier one, 2 of them with another map" in caplog.text


def test_more_than_three_annotators_are_counted_and_said(tmp_path, caplog):
    rng = np.random.default_rng(3)
    samples = [simulate(rng, 1 + i % 5, side=128) for i in range(30)]
    path = tmp_path / "train.tfrecord"
    write_examples(path, (example(s, f"train/u{i}.png", None) for i, s in enumerate(samples)))
    with caplog.at_level(logging.WARNING):
        _, audit, summary = label(path, tmp_path / "a")
    told = {row["id"] for row in audit if row["more_annotators"] == "True"}
    assert told == {f"u{i}" for i, s in enumerate(samples) if s.annotators > 3}
    more = summary["more_annotators"]
    assert more["samples"] == 12 and more["kept"] == sum(row["id"] in told and row["kept"] == "True" for row in audit)
    out = 12 - more["kept"]
    said = f"12 samples show more than 3 annotators; they are treated like all others: {more['kept']} are kept, {out} "
    assert said in caplog.text

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

POLICY = labels(ambiguous={"all_zero": "keep", "saturated": "drop"}, unreadable_allowed=0.0)


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


def test_the_count_under_every_policy_is_what_that_policy_keeps(records, tmp_path):
    _, _, summary = label(records, tmp_path / "a")
    assert len(summary["kept_under"]) == 8 and len(set(summary["kept_under"].values())) > 2
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


def test_another_count_than_the_papers_is_a_warning_on_the_released_files(records, tmp_path, caplog, monkeypatch):
    with caplog.at_level(logging.WARNING):
        label(records, tmp_path / "a")
        assert caplog.text == ""  # 40 samples are not the released 15,810
        monkeypatch.setattr(binarize, "RELEASED", {"train": 40, "dev": 40})
        _, _, summary = label(records, tmp_path / "dev", split="dev")
        assert caplog.text == "" and (summary["paper_samples"], summary["paper_kept"]) == (40, None)
        label(records, tmp_path / "a")
    assert "the paper kept 7801 of these samples, this policy keeps" in caplog.text


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
        assert list((tmp_path / "a").iterdir()) == []


def test_a_sample_that_comes_twice_is_named(truth, tmp_path):
    sample = next(s for s in truth.values() if s.annotators == 3)
    path = tmp_path / "train.tfrecord"
    write_examples(path, [example(sample, "train/u.png", None)] * 2)
    with pytest.raises(UserError, match="the id u comes twice"):
        label(path, tmp_path / "a")

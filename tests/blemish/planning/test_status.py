import json

import pytest
from checkout import link_checkout

from blemish.planning import status


def test_a_reason_is_told_without_what_follows_it():
    assert status.without_details("Missing output files: a, b; Input files updated") == "Missing output files"
    assert status.without_details("Params have changed since last execution: before: 1 now: 2") == (
        "Params have changed since last execution"
    )


def test_seconds_are_means_over_jobs_and_not_over_their_files(tmp_path):
    for i, (rule, start, end) in enumerate([("invert", 0, 10), ("invert", 0, 10), ("invert", 20, 40), ("table", 0, 1)]):
        (tmp_path / f"{i}").write_text(json.dumps({"rule": rule, "starttime": start, "endtime": end}))
    assert status.durations(tmp_path) == {"invert": 15, "table": 1}
    assert status.durations(tmp_path / "none") == {}


def test_a_run_that_cannot_be_planned_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(link_checkout(tmp_path))
    (tmp_path / "mine.yaml").write_text("sed: 1")
    with pytest.raises(status.UserError, match=r"this run: .*mine.yaml: sed is not a key .*, did you mean 'seed'"):
        status.plan("--configfile", "config/mini.yaml", "mine.yaml")

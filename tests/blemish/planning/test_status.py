import fcntl
import json
from base64 import urlsafe_b64encode

import pytest
from checkout import link_checkout
from rich.console import Console

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


def test_a_job_under_way_could_not_start_now(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    long = f"results/{'a' * 300}"
    names = [urlsafe_b64encode(file.encode()).decode() for file in ("results/a", long)]
    marks = tmp_path / ".snakemake/incomplete"
    (marks / f"@{names[1][:254]}").mkdir(parents=True)
    (marks / names[0]).write_text("{}")
    (marks / f"@{names[1][:254]}" / names[1][254:]).write_text("{}")
    reasons = ["Missing output files: results/a, results/b", "Missing output files: results/ab", status.FOLLOWS]
    jobs = [(f"job {i}", reason) for i, reason in enumerate(reasons)]
    monkeypatch.setattr(status, "plan", lambda *_: (status.Counter(rule=3), jobs))
    for running in (False, True):
        with open(tmp_path / ".snakemake/blemish.lock", "w") as lock:
            if running:
                fcntl.flock(lock, fcntl.LOCK_SH)
            assert status.under_way(status.SNAKEMAKES) == ({"results/a", long} if running else set())
            status.show([], Console())
        said = capsys.readouterr().out
        assert ("1 jobs are under way." in said, "job 0" in said) == (running, not running)
        assert "job 1" in said and "job 2" not in said

import json
import os

import pytest

from blemish.planning import status


def test_a_reason_names_the_settings_that_changed(tmp_path):
    folder = tmp_path / "settings/select_regions/swin-t"
    folder.mkdir(parents=True)
    for i, (name, settings) in enumerate({"a": {"code": "x", "tau": 0.3}, "b": {"code": "x", "tau": 0.2}}.items()):
        (folder / f"{name}.json").write_text(json.dumps(settings))
        os.utime(folder / f"{name}.json", (i, i))
    assert status.explain(f"Updated input files: {folder}/b.json, pools/0.parquet") == "changed: tau"
    (folder / "a.json").unlink()
    assert status.explain(f"Updated input files: {folder}/b.json") == "its settings are new"
    assert status.explain("Missing output files: a, b; Input files updated") == "Missing output files: a"


def test_seconds_are_means_over_jobs_and_not_over_their_files(tmp_path):
    for i, (rule, start, end) in enumerate([("invert", 0, 10), ("invert", 0, 10), ("invert", 20, 40), ("table", 0, 1)]):
        (tmp_path / f"{i}").write_text(json.dumps({"rule": rule, "starttime": start, "endtime": end}))
    assert status.durations(tmp_path) == {"invert": 15, "table": 1}
    assert status.durations(tmp_path / "none") == {}


def test_a_run_that_cannot_be_planned_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(status.UserError, match="cannot plan"):
        status.plan()

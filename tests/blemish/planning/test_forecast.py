import re

import pytest
import yaml
from snakemake.settings.types import ConfigSettings

from blemish.config.load import ROOT, load
from blemish.planning import forecast, workload


def test_the_config_is_merged_as_snakemake_does(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"pools": {"hps": {"count": 30}}, "detectors": {"seeds": [1, 2]}}))
    merged = load([overlay])
    own = {key: merged[key] for key in ("pools", "detectors")}
    base = [ROOT / "config/config.yaml"]
    theirs = ConfigSettings(configfiles=[*base, overlay]).overwrite_config
    assert own == {key: theirs[key] for key in own}
    assert merged["pools"]["hps"] == {"count": 30, "shards": 8}


@pytest.mark.parametrize("text", [None, "pools: {hps: ["])
def test_a_faulty_overlay_is_one_sentence(tmp_path, text):
    overlay = tmp_path / "overlay.yaml"
    if text:
        overlay.write_text(text)
    with pytest.raises(SystemExit, match=r"blemish, forecast: .*overlay\.yaml"):
        forecast.main([str(overlay)])


def test_the_readme_says_what_disk_the_forecast_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no results of which to count
    config = load()
    stages = workload.work(config, forecast.sizes(config), *forecast.trajectory(config))
    needed = {stage: sum(job["bytes"] for job in jobs) / 1e9 for stage, jobs in stages.items()}
    text = (ROOT / "README.md").read_text()
    whole, sources = map(int, re.search(r"about (\d+) GB of disk: (\d+) GB for what is kept", text).groups())
    assert (whole, sources) == (round(sum(needed.values()), -1), round(needed["sources"]))

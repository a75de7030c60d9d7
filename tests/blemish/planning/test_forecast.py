import pytest
import yaml
from snakemake.settings.types import ConfigSettings

from blemish.config.load import ROOT, load
from blemish.planning import forecast


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

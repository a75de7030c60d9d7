"""Config, schema and README say the same."""

import jsonschema
import pytest
import yaml

from blemish import reference

ROOT = reference.ROOT


def merged(*names):
    config: dict = {}
    for name in names:
        update(config, yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
    return config


def update(config, overlay):
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            update(config[key], value)
        else:
            config[key] = value


def schema():
    return yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def keys(config, prefix=""):
    for key, value in config.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")


@pytest.mark.parametrize("overlays", [[], ["mini"], ["mini", "test"]])
def test_every_config_is_valid(overlays):
    jsonschema.validate(merged(*reference.FILES, *overlays), schema())


def test_every_key_of_the_schema_is_described():
    for key, node, _ in reference._walk(schema(), schema()["$defs"], {}, ""):
        assert node.get("description"), key


def test_the_overlays_change_sizes_and_sources_only():
    allowed = ("pathvars", "resolution", "device", "dtype", "sources", "subset", "pools", "backbones")
    sizes = (
        "detectors.iterations",
        "detectors.selector_iterations",
        "detectors.batch_size",
        "detectors.lr",
        "detectors.amp",
        "detectors.workers",
        "detectors.checkpoint_interval",
        "detectors.log_interval",
        "corruption.batch_size",
        "evaluation.batch_size",
    )
    for key in keys(merged("mini", "test")):
        assert key.split(".")[0] in allowed or key in sizes or any(s.startswith(key + ".") for s in sizes), key


def test_the_readme_of_the_config_is_current():
    assert reference.TARGET.read_text() == reference.document(), "run python -m blemish.reference"

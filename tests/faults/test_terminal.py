"""What the terminal shows when the configuration has a mistake: one sentence, exit code 1."""

import pytest
from checkout import link_checkout, said, snakemake

MISTAKES = {
    "detectors: {lrr: 1}": "mine.yaml: detectors.lrr is not a key of the configuration, did you mean 'lr'?",
    "pools: {hps: {shards: 0}}": "mine.yaml: pools.hps.shards is 0; allowed: integer, from 1",
    "recipes: {blur-30: {method: blurr}}": "mine.yaml: recipes.blur-30.method is blurr",
    "seed: 1\nseed: 2": "mine.yaml: seed stands twice",
    "a: [": "Config file is not valid JSON or YAML",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(tmp_path, mistake):
    folder = link_checkout(tmp_path)
    (folder / "mine.yaml").write_text(mistake)
    done = snakemake("show_tables", "-n", "--configfile", "config/mini.yaml", "mine.yaml", folder=folder)
    assert done.returncode == 1
    assert MISTAKES[mistake] in said(done)
    assert "Traceback" not in said(done)

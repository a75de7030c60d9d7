"""The graph as a dry run sees it, on a machine without GPU, network or data."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")


def snakemake(*arguments, folder=ROOT, **environment):
    return subprocess.run(
        [SNAKEMAKE, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""} | environment,
        timeout=300,
    )


def jobs(output):
    """Rule -> number of jobs, from the table that a dry run prints."""
    table = output.split("job ", 1)[1].split("total", 1)[0]
    return {m[1]: int(m[2]) for m in re.finditer(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}


@pytest.fixture
def checkout(tmp_path):
    """A copy of the workflow without results, to edit."""
    for name in ("Snakefile", "rules", "scripts", "config", "workflow", "profiles", "environment.yml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    for name in ("Snakefile", "rules", "scripts", "config", "workflow", "profiles", "environment.yml"):
        os.symlink(ROOT / name, folder / name)
    start = time.monotonic()
    done = snakemake("-n", "--resources", "gpu=8", folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr, time.monotonic() - start


def test_the_papers_graph_has_30_detectors_and_inverts_once(paper):
    counts = jobs(paper[0])
    assert counts["train_detector"] == counts["evaluate"] == 30
    assert counts["invert"] == 2 * 8 * 5  # two pools, eight parts, steps 0, 5, 10, 15, 20
    assert counts["select_regions"] == 2 * 2 * 8
    assert counts["table"] == 4


def test_every_job_says_what_it_does(paper):
    lines = paper[0].splitlines()
    rules = [line for line in lines if re.match(r"(local)?rule \w+:", line)]
    messages = [line for line in lines if line.startswith(("Job ", "    message:")) or re.match(r"Job \d+:", line)]
    assert len(messages) >= len(rules) - 2 > 400  # `all` and `sources` have none to give


def test_without_a_gpu_the_paper_ends_with_one_sentence():
    for arguments in (["--cores", "1"], ["--cores", "1", "--resources", "gpu=8"]):
        done = snakemake(*arguments)
        assert done.returncode != 0
        said = done.stdout + done.stderr
        assert "make demo" in said and "GPU" in said
        assert "Traceback" not in said


def test_an_added_method_is_one_file_one_recipe_and_one_row(checkout):
    (checkout / "workflow/blemish/corruptions/nothing.py").write_text(
        '"""Leaves the region as inverted."""\n\n\ndef select(z0, z_t, phi, p, generators):\n    return z_t\n'
    )
    recipes = checkout / "config/corruptions.yaml"
    recipes.write_text(recipes.read_text() + "  nothing-40: {method: nothing, step: 40}\n")
    tables = checkout / "config/tables.yaml"
    marker = "      - {label: Rotation, supervision: rotation-30}\n"
    assert marker in tables.read_text()
    tables.write_text(
        tables.read_text().replace(marker, marker + "      - {label: Nothing, supervision: nothing-40}\n")
    )
    done = snakemake("-n", "--configfile", "config/mini.yaml", folder=checkout)
    assert done.returncode == 0, done.stderr
    assert jobs(done.stdout + done.stderr)["train_detector"] == 32


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("detectors: {lr: quick}", "lr"),
        ("detectors: {learning_rate: 0.1}", "learning_rate"),
        ("pools: {hps: {shards: 0}}", "shards"),
        ("recipes: {x: {method: proposed, step: 77}}", "77"),
        ("recipes: {x: {method: propsed, step: 40}}", "proposed"),
    ],
)
def test_a_mistake_in_the_config_is_named(checkout, override, sentence):
    (checkout / "mistake.yaml").write_text(override)
    done = snakemake("-n", "--configfile", "mistake.yaml", folder=checkout)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert sentence in said
    assert "Traceback" not in said

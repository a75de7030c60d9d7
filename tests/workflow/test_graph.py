"""The graph as a dry run sees it, on a machine without GPU, network or data."""

import re
import shutil
import time

import pytest

from .conftest import PARTS, ROOT, jobs, link_checkout, said, snakemake


@pytest.fixture
def checkout(tmp_path):
    """A copy of the workflow without results, to edit."""
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    folder = link_checkout(tmp_path_factory.mktemp("paper"))
    start = time.monotonic()
    done = snakemake("-n", "--resources", "gpu=8", folder=folder)
    assert done.returncode == 0, said(done)
    return done, time.monotonic() - start


def test_the_papers_graph_has_30_detectors_and_inverts_once(paper):
    counts = jobs(paper[0])
    assert counts["train_detector"] == counts["evaluate"] == 30
    assert counts["invert"] == 2 * 8 * 5  # two pools, eight parts, steps 0, 5, 10, 15, 20
    assert counts["select_regions"] == 2 * 2 * 8
    assert counts["table"] == 4


def test_every_job_says_what_it_does(paper):
    messages = re.findall(r"^Job \d+: .{10,}", said(paper[0]), re.MULTILINE)
    assert len(messages) == sum(jobs(paper[0]).values()) - 1  # `all` does nothing


def test_the_papers_graph_is_listed_in_seconds(paper):
    assert paper[1] < 20  # 5 on two free cores


def test_without_a_gpu_the_paper_ends_with_one_sentence(tmp_path):
    link_checkout(tmp_path)
    for arguments in (["--cores", "1"], ["--cores", "1", "--resources", "gpu=8"]):
        done = snakemake(*arguments, folder=tmp_path)
        assert done.returncode != 0
        assert "make demo" in said(done) and "GPU" in said(done)
        assert "Traceback" not in said(done)


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
    assert done.returncode == 0, said(done)
    assert jobs(done)["train_detector"] == 32


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
    assert sentence in said(done)
    assert "Traceback" not in said(done)


def test_the_readme_shows_the_graph():
    done = snakemake("show_tables", "--rulegraph", "mermaid-js", "--configfile", "config/mini.yaml")
    assert edges((ROOT / "README.md").read_text()) == edges(done.stdout) != set()


def edges(mermaid):
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", mermaid))
    return {(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", mermaid)}

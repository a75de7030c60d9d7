"""The graph as a dry run sees it, on a machine without GPU, network or data."""

import re
import shutil

import pytest
import torch
import yaml
from checkout import PARTS, ROOT, gpu_rules, jobs, link_checkout, said, snakemake


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
    done = snakemake("-n", "--resources", "gpu=8", folder=folder)
    assert done.returncode == 0, said(done)
    return done


def test_the_papers_graph_has_30_detectors_and_inverts_once(paper):
    counts = jobs(paper)
    assert counts["train_detector"] == counts["evaluate"] == 30
    assert counts["invert"] == 2 * 8 * 5  # two pools, eight parts, steps 0, 5, 10, 15, 20
    assert counts["select_regions"] == 2 * 2 * 8
    assert counts["table"] == 4


def test_the_dev_split_is_fetched_where_the_config_names_it_and_used_by_nothing_else(paper, tmp_path):
    counts = jobs(snakemake("-n", "sources", folder=link_checkout(tmp_path)))
    assert counts["fetch_richhf"] == counts["binarize"] == counts["fetch_richhf_images"] == 3
    assert jobs(paper)["fetch_richhf"] == jobs(paper)["binarize"] == 2
    mini = ["--configfile", "config/mini.yaml"]
    counts = jobs(snakemake("-n", "sources", *mini, folder=tmp_path))
    assert counts["fetch_richhf"] == counts["binarize"] == 2
    done = snakemake("-n", "results/mini/sets/richhf-dev.parquet", *mini, folder=tmp_path)
    assert done.returncode == 1 and "MissingRuleException" in said(done)
    (tmp_path / "dev.yaml").write_text("sources: {richhf: {records: {dev: {url: 'file:dev.tfrecord'}}}}")
    done = snakemake("-n", "results/mini/sets/richhf-dev.parquet", *mini, "dev.yaml", folder=tmp_path)
    assert jobs(done)["join_richhf"] == 1


def test_each_tar_of_hps_is_a_job_of_its_own(paper, tmp_path):
    assert {rule: n for rule, n in jobs(paper).items() if "hps" in rule} == {
        "choose_hps": 1,
        "draw_hps": 5,
        "deal_hps": 1,
    }
    (tmp_path / "many.yaml").write_text("sources: {hps: {tars: 69}}")
    target = "results/paper/pools/hps/ledger.csv"
    done = snakemake("-n", target, "--configfile", "many.yaml", folder=link_checkout(tmp_path))
    assert jobs(done) == {"choose_hps": 1, "draw_hps": 69, "deal_hps": 1}


def test_every_job_says_what_it_does(paper):
    messages = re.findall(r"^Job \d+: .{10,}", said(paper), re.MULTILINE)
    assert len(messages) == sum(jobs(paper).values()) - 1  # `all` does nothing


def test_without_a_gpu_the_paper_ends_with_one_sentence(tmp_path):
    link_checkout(tmp_path)
    for arguments in (["--cores", "1"], ["--cores", "1", "--resources", "gpu=8"]):
        done = snakemake(*arguments, folder=tmp_path)
        assert done.returncode == 1
        assert re.search(r"there is no GPU on .*try `make demo`, which needs no GPU\.", said(done))
        assert "Traceback" not in said(done)


def test_a_target_without_a_gpu_job_needs_no_gpu(tmp_path):
    """The paper's device, the mini world's files: `snakemake sources` runs where downloads do."""
    link_checkout(tmp_path)
    (tmp_path / "cuda.yaml").write_text("device: cuda")
    configs = ["--configfile", "config/mini.yaml", "config/test.yaml", "cuda.yaml"]
    done = snakemake("sources", "--cores", "2", *configs, folder=tmp_path)
    assert done.returncode == 0, said(done)
    assert (tmp_path / "results/test/sources/diffusion").is_dir()
    done = snakemake("--cores", "2", *configs, folder=tmp_path)
    assert done.returncode == 1 and "there is no GPU on" in said(done)


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch can use a GPU")
def test_a_pytorch_that_cannot_use_the_gpus_is_told_at_the_start(tmp_path):
    link_checkout(tmp_path)
    node = {"CUDA_VISIBLE_DEVICES": ",".join("01234567"), "BLEMISH_GPUS": ",".join(f"GPU-{i}" for i in range(8))}
    done = snakemake("--cores", "all", "--resources", "gpu=8", folder=tmp_path, **node)
    assert done.returncode == 1
    assert re.search(rf"\nPyTorch {re.escape(torch.__version__)} \(built for .*\) cannot use the GPUs of ", said(done))
    assert "Traceback" not in said(done) and not (tmp_path / "results").exists()


def test_every_snakemake_command_of_the_readme_plans(tmp_path):
    link_checkout(tmp_path)
    commands = re.findall(r"^snakemake (.*?) +#", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        done = snakemake(*command.split(), "-n", folder=tmp_path)
        assert done.returncode == 0, said(done)
        assert jobs(done)["fetch_richhf"] >= 2


def test_the_readmes_example_adds_a_method(checkout):
    """One file, one recipe, one row; the method runs, and the graph grows by its two detectors."""
    readme = (ROOT / "README.md").read_text()
    code = re.search(r"```python\n# (\S+shuffle\.py)\n(.*?)```", readme, re.DOTALL)
    recipe, row = re.search(
        r"```yaml\n# config/corruptions.yaml\n(.*?\n)#[^\n]*table2\n(.*?\n)```", readme, re.DOTALL
    ).groups()
    (checkout / code[1]).write_text(code[2])
    with open(checkout / "config/corruptions.yaml", "a") as recipes:
        recipes.write(recipe)
    tables = checkout / "config/paper/tables.yaml"
    neighbour = "      - {label: Rotation, supervision: rotation-30}\n"
    assert neighbour in tables.read_text()
    tables.write_text(tables.read_text().replace(neighbour, neighbour + row))
    done = snakemake("-n", "--configfile", "config/mini.yaml", folder=checkout)
    assert done.returncode == 0, said(done)
    assert jobs(done)["train_detector"] == 32

    namespace: dict = {}
    exec(compile(code[2], code[1], "exec"), namespace)
    z = torch.randn(3, 4, 8, 8)
    generators = [torch.Generator().manual_seed(i) for i in range(3)]
    selected = namespace["select"](z, z, 1.0, 0.0, generators)
    assert selected.shape == z.shape and not torch.equal(selected, z)
    assert torch.allclose(selected.sum(1), z.sum(1), atol=1e-5)  # the same channels, in another order


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("detectors: {lr: quick}", "detectors.lr is quick; allowed: number, above 0 "),
        ("detectors: {learning_rate: 0.1}", "detectors.learning_rate is not a key of the configuration; allowed: "),
        ("pools: {hps: {shards: 0}}", "pools.hps.shards is 0; allowed: integer, from 1 "),
        ("recipes: {x: {method: proposed, step: 77}}", "recipes.x.step is 77; allowed: integer, from 0 to 50 "),
        (
            "recipes: {x: {method: propsed, step: 40}}",
            "recipes.x.method is propsed, which is not a corruption method, did you mean 'proposed'?; allowed: blur, ",
        ),
    ],
)
def test_a_mistake_in_the_config_is_named(checkout, override, sentence):
    (checkout / "mistake.yaml").write_text(override)
    done = snakemake("-n", "--configfile", "mistake.yaml", folder=checkout)
    assert done.returncode == 1
    assert f"\n{checkout}/mistake.yaml: {sentence}" in said(done)
    assert "Traceback" not in said(done)


def test_the_slurm_profile_gives_every_rule_with_a_gpu_its_memory_and_time():
    """Where a site has a partition for GPUs, the first of them names it, and the others take its keys."""
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    asked = yaml.safe_load(text)["set-resources"]
    blocks = dict(re.findall(r"^  (\w+):(.*\n(?:    .*\n?)+)", text, re.MULTILINE))
    rules = gpu_rules()
    assert len(rules) >= 8 and rules <= asked.keys()
    assert {rule for rule in asked if "gpu-job" in blocks[rule]} == rules
    for rule in rules:
        assert {"runtime", "mem_mb"} <= asked[rule].keys()


def test_every_job_that_fetches_or_can_take_a_gpu_records_its_time_and_memory():
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)(?: with)?:\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    recorded = {name for name, body in rules if f'benchmark:\n        "<results>/benchmarks/{name}' in body}
    fetching = {name for name, _ in rules if name.startswith(("fetch_", "draw_hps"))}
    assert len(fetching) == 5 and gpu_rules() | fetching <= recorded


def test_the_readme_shows_the_graph():
    done = snakemake("show_tables", "--rulegraph", "mermaid-js", "--configfile", "config/mini.yaml")
    assert edges((ROOT / "README.md").read_text()) == edges(done.stdout) != set()


def edges(mermaid):
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", mermaid))
    return {(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", mermaid)}

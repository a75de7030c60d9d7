"""Only what is stale runs again: each test edits one thing in a finished run and reads the dry run.

The finished run is of config/test.yaml. Code, rules and config are copies of the real ones; the results are stand-ins,
one line each, recorded by `snakemake --touch`.
"""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import PARTS, ROOT, jobs, said, snakemake

TEST = ("--configfile", "config/mini.yaml", "config/test.yaml")
BACKBONES = ("convnext-t", "swin-t")
RECIPES = ("proposed-30", "proposed-35", "proposed-40", "proposed-45", "gaussian-30", "gaussian-50", "rotation-30")
RECIPES += ("blur-30",)  # with a detector; downscale-30 has none


def corrupting_jobs(parts):
    """Rule -> number of jobs that make so many parts of corrupted images and their measures."""
    return {"corrupt": parts, "measure_strength": parts}


RECORD = {"describe_run": 1, "all": 1}  # what follows from any change of the config
# What follows from other scores, from other detectors, from other corrupted images.
SCORES = {"claims": 1, "figure_precision_recall": 1, "show_tables": 1, "all": 1}
DETECTORS = SCORES | {"figure_loss": 1, "gallery": 1}
IMAGES = {"strength_table": 1, "contact_sheet": 9, "figure_pools": 1, "figure_methods": 1, "figure_targets": 1}
IMAGES |= {"figure_failures": 1, "figure_initial": 1, "cost": 1, "gallery": 1}
ALL_TABLES = {"table": 4, "figure_steps": 1}
A_RECIPE_OF_TABLE_2 = DETECTORS | {**corrupting_jobs(4), "train_detector": 2, "evaluate": 2, "table": 1}
A_RECIPE_OF_TABLE_2 |= {"cost": 1, "strength_table": 1, "contact_sheet": 1, "figure_methods": 1}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    for name in PARTS:
        if name == "resources":
            os.symlink(ROOT / name, folder / name)
        elif (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    listing = succeed("--summary", folder=folder).stdout
    for path in map(Path, re.findall(r"^(results/\S+)\t", listing, re.MULTILINE)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        # The only folder among the outputs is the diffusion model's.
        (folder / path).write_text(f"{path}\n") if path.suffix else (folder / path).mkdir()
    succeed("--touch", "--forceall", folder=folder)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A finished run of the test's own."""
    subprocess.run(["cp", "-a", f"{finished}/.", tmp_path], check=True)
    return tmp_path


def succeed(*arguments, folder):
    done = snakemake(*arguments, "--cores", "1", *TEST, folder=folder)
    assert done.returncode == 0, said(done)
    return done


def stale(folder, *targets):
    """Rule -> number of jobs that would run; and the sentence of each."""
    done = succeed(*targets, "-n", folder=folder)
    return jobs(done), set(re.findall(r"^Job \d+: (.+)", said(done), re.MULTILINE))


def snapshot(folder):
    """Name -> size and time of every file of the results."""
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def edit(folder, name, old, new):
    text = (folder / name).read_text()
    assert text.count(old) == 1, f"{name} says {old!r} {text.count(old)} times"
    (folder / name).write_text(text.replace(old, new))


def add(folder, name, text):
    (folder / name).write_text((folder / name).read_text() + text)


def sentences(said, word):
    return {sentence for sentence in said if sentence.startswith(word + " ")}


def corrupting(pool, recipes, backbones=BACKBONES):
    return {
        f"Corrupt {pool} by {recipe} in the regions of {backbone}, part {part}"
        for recipe in recipes
        for backbone in backbones
        for part in (0, 1)
    }


def training(train_set, supervisions, backbones=BACKBONES):
    return {
        f"Train the {backbone} detector on {train_set}, {supervision}, seed 0"
        for supervision in supervisions
        for backbone in backbones
    }


def inverting(pool, steps):
    return {f"Invert the latents of {pool} to step {step}, part {part}" for step in steps for part in (0, 1)}


# Nothing


def test_nothing_is_stale_after_other_words(run):
    edit(run, "workflow/blemish/corruption/sampling.py", '"""Resampling:', '"""In other words:')
    add(run, "workflow/blemish/corruption/invert.py", "\n\n# A comment.\n")
    edit(run, "scripts/corrupt.py", '"""Corrupts', '"""In other words: corrupts')
    add(run, "rules/corruption.smk", "\n\n# A comment.\n")
    add(run, "config/config.yaml", "\n# A comment.\n")
    assert stale(run) == ({}, set())


def test_nothing_is_stale_after_other_words_in_messages(run):
    package = "workflow/blemish"
    words = {
        "jobs/leases.py": "waiting for",  # a lease
        "jobs/progress.py": "were there",  # progress
        "jobs/devices.py": "this job needs",
        "errors.py": "the machine's memory is used up",
        "corruption/diffusion.py": "out of memory in the",  # a log message
        "corruption/latents.py": "Run the inversion of this shard first",  # an error
        "detection/train.py": "going on from the one before",
        "corruption/settings.py": "How masks meet latents",  # a setting's description
        "corruption/methods/rotation.py": "Counter-clockwise",
        "settings.py": "Text that is not empty",
        "words.py": "did you mean",
    }
    for name, word in words.items():
        text = (run / package / name).read_text()
        assert word in text, name
        (run / package / name).write_text(text.replace(word, f"{word[:-1]} other words {word[-1]}"))
        ast.parse((run / package / name).read_text())
    assert stale(run) == ({}, set())


def test_nothing_is_stale_after_a_change_of_the_harness(run):
    package = run / "workflow/blemish"
    harness = [*package.glob("jobs/*.py"), package / "errors.py"]
    harness += package.rglob("settings.py")
    assert len(harness) > 12
    for path in harness:
        add(run, path, "\n\nADDED = 1\n")
    assert stale(run) == ({}, set())


def test_nothing_is_stale_after_another_order_and_spelling(run):
    edit(run, "config/corruptions.yaml", "{method: blur, step: 30, sigma: 4.0}", "{sigma: 4, step: 30.0, method: blur}")
    edit(run, "config/mini.yaml", "lr: 2.0e-3", "lr: 0.002")
    edit(run, "config/config.yaml", "  tau: 0.5 #", "  tau: 5.0e-1 #")
    edit(run, "config/config.yaml", "seed: 0 #", "seed: 0.0 #")
    assert stale(run) == ({}, set())


def test_nothing_is_stale_in_a_fresh_checkout(run):
    code = [path for name in PARTS for path in (run / name).rglob("*") if name != "resources"]
    results = [*run.glob("results/test/pools/*/0.parquet"), *run.glob("results/test/detectors/**/weights.safetensors")]
    assert len(results) == 32
    for path in [run / "Snakefile", *code, *results]:
        os.utime(path)
    assert stale(run) == ({}, set())


# Corruption


def test_a_recipes_parameter_reaches_that_recipe_alone(run):
    edit(run, "config/corruptions.yaml", "sigma: 4.0", "sigma: 5.0")
    counts, said = stale(run)
    assert counts == A_RECIPE_OF_TABLE_2 | RECORD
    assert sentences(said, "Corrupt") == corrupting("hps", ["blur-30"])
    assert sentences(said, "Train") == training("hps", ["blur-30"])
    assert sentences(said, "Write") == {"Write table2, ours beside the paper's"}


def test_a_methods_code_reaches_its_recipes_alone(run):
    add(run, "workflow/blemish/corruption/methods/rotation.py", "\n\nADDED = 1\n")
    counts, said = stale(run)
    assert counts == A_RECIPE_OF_TABLE_2
    assert sentences(said, "Corrupt") == corrupting("hps", ["rotation-30"])


def test_the_measures_code_reaches_no_inversion_and_no_detector(run):
    add(run, "workflow/blemish/corruption/strength.py", "\n\nADDED = 1\n")
    counts, _ = stale(run)
    assert counts["measure_strength"] == 50
    assert not {"invert", "reconstruct", "select_regions", "corrupt", "train_detector", "evaluate"} & counts.keys()


def test_a_shared_modules_code_reaches_all_that_import_it(run):
    add(run, "workflow/blemish/corruption/sampling.py", "\n\nADDED = 1\n")
    counts, said = stale(run)
    assert counts == DETECTORS | IMAGES | ALL_TABLES | {
        "invert": 20,
        "reconstruct": 4,
        **corrupting_jobs(50),
        "train_detector": 24,
        "evaluate": 24,
    }
    assert not {sentence for sentence in said if "pseudo" in sentence or "human" in sentence}


def test_a_deeper_recipe_extends_the_trajectory(run):
    add(run, "config/corruptions.yaml", "  proposed-25: {method: proposed, step: 25}\n")
    counts, said = stale(run)
    summaries = ("contact_sheet", "strength_table", "figure_steps", "cost", "gallery")
    assert counts == {"invert": 2, **corrupting_jobs(2)} | dict.fromkeys(summaries, 1) | RECORD
    assert sentences(said, "Invert") == inverting("hps", [25])
    assert sentences(said, "Corrupt") == corrupting("hps", ["proposed-25"], ["convnext-t"])


# Tables


def test_a_tables_label_reaches_what_prints_it(run):
    edit(run, "config/paper/tables.yaml", '["RichHF-{images}", Human labels]', '["RichHF-{images}", People]')
    counts, said = stale(run)
    assert counts == {"table": 1, "show_tables": 1, "claims": 1} | RECORD
    assert sentences(said, "Write") == {"Write table1, ours beside the paper's"}


def test_a_new_row_adds_its_detectors(run):
    row = "      - {label: Rotation, supervision: rotation-30}\n"
    edit(
        run,
        "config/paper/tables.yaml",
        row,
        row + row.replace("Rotation", "Downscale").replace("rotation", "downscale"),
    )
    counts, said = stale(run)
    assert counts == DETECTORS | RECORD | {
        **corrupting_jobs(2),
        "cost": 1,
        "train_detector": 2,
        "evaluate": 2,
        "table": 1,
    }
    # The regions of the other backbone were corrupted for the contact sheet.
    assert sentences(said, "Corrupt") == corrupting("hps", ["downscale-30"], ["swin-t"])
    assert sentences(said, "Train") == training("hps", ["downscale-30"])


def test_a_new_backbone_adds_its_own_and_inverts_nothing(run):
    config = (run / "config/config.yaml").read_text()
    backbone = re.search(r"  swin-t:\n(    .*\n)+", config)[0]
    edit(run, "config/config.yaml", backbone, backbone + backbone.replace("swin-t:", "swin-u:"))
    column = "      - {label: ConvNeXt, train_set: hps, backbone: convnext-t}\n"
    table4 = column + "    rows:\n      - {label: Image latent"
    edit(run, "config/paper/tables.yaml", table4, column.replace("convnext-t", "swin-u") + table4)
    counts, said = stale(run)
    assert counts == DETECTORS | RECORD | {
        "fetch_segmentation": 1,
        "train_detector": 3,
        "select_regions": 2,
        **corrupting_jobs(4),
        "cost": 1,
        "evaluate": 2,
        "table": 1,
    }
    new = training("hps", ["gaussian-30", "gaussian-50"], ["swin-u"]) | training("richhf-human", ["human"], ["swin-u"])
    assert sentences(said, "Train") == new
    assert sentences(said, "Corrupt") == corrupting("hps", ["gaussian-30", "gaussian-50"], ["swin-u"])


# Evaluation, figures and pages


def test_the_intervals_code_reaches_no_detector(run):
    add(run, "workflow/blemish/evaluation/measures.py", "\n\nADDED = 1\n")
    counts, _ = stale(run)
    assert counts == SCORES | ALL_TABLES | {"evaluate": 30, "gallery": 1}


def test_the_figures_code_reaches_no_table_of_scores(run):
    add(run, "workflow/blemish/report/figures.py", "\n\nADDED = 1\n")
    counts, _ = stale(run)
    assert not {"table", "show_tables", "claims", "evaluate", "train_detector", "corrupt"} & counts.keys()
    assert counts["contact_sheet"] == 9 and counts["figure_failures"] == 1


@pytest.mark.parametrize("name", ["html", "css", "js"])
def test_a_template_reaches_its_page_alone(run, name):
    add(run, f"workflow/blemish/report/gallery/page.{name}", "\n")
    assert stale(run)[0] == {"gallery": 1, "all": 1}


# Detectors and sources


def test_the_schedule_reaches_the_detectors_but_not_the_selectors(run):
    edit(run, "config/test.yaml", "\n  iterations: 6", "\n  iterations: 7")
    counts, said = stale(run)
    assert counts == DETECTORS | RECORD | ALL_TABLES | {"train_detector": 28, "evaluate": 28}
    assert not training("richhf-human", ["human"]) & said


def test_the_selectors_schedule_reaches_all_but_the_inversion(run):
    edit(run, "config/test.yaml", "selector_iterations: 20", "selector_iterations: 21")
    assert stale(run)[0] == DETECTORS | RECORD | IMAGES | ALL_TABLES | {
        "select_regions": 8,
        "figure_regions": 1,
        **corrupting_jobs(50),
        "train_detector": 30,
        "evaluate": 30,
    }


HPS = DETECTORS | IMAGES | ALL_TABLES | {"deal_hps": 1, "figure_regions": 1, "train_detector": 18, "evaluate": 18}
DRAW = {"choose_hps": 1, "draw_hps": 2}  # a job for each tar


def test_a_sources_revision_reaches_what_is_made_from_it(run):
    edit(run, "config/mini.yaml", 'hps", revision: null', 'hps", revision: v2')
    counts, said = stale(run)
    assert counts == HPS | DRAW | RECORD | {"invert": 10, "reconstruct": 2, "select_regions": 4, **corrupting_jobs(34)}
    assert sentences(said, "Invert") == inverting("hps", [0, 5, 10, 15, 20])
    assert sentences(said, "Train") == training("hps", [*RECIPES, "pseudo"])


def test_fewer_parts_deal_the_pool_again(run):
    """Its files are there already, but hold a half of it each; what came from the tars stays."""
    edit(run, "config/test.yaml", "hps: {count: 10, shards: 2}", "hps: {count: 10, shards: 1}")
    assert stale(run)[0] == HPS | RECORD | {"invert": 5, "reconstruct": 1, "select_regions": 2, **corrupting_jobs(17)}


def test_accepting_the_count_of_one_split_leaves_the_labels_of_the_other(run):
    edit(run, "config/config.yaml", "    train: null\n", "    train: 9000\n")
    counts, said = stale(run, *(f"results/test/labels/{split}.parquet" for split in ("train", "test")))
    assert counts == {"binarize": 1} and [sentence for sentence in said if "RichHF-18k train" in sentence]


# Values that come back


def test_a_value_that_comes_back_costs_only_what_ran_in_between(run):
    one = "results/test/detectors/hps/blur-30/swin-t/seed-0/metrics.json"
    edit(run, "config/config.yaml", "threshold: 0.5", "threshold: 0.6")
    counts, _ = stale(run)
    assert counts == SCORES | RECORD | ALL_TABLES | {"evaluate": 30, "gallery": 1}
    succeed(one, "--touch", folder=run)
    edit(run, "config/config.yaml", "threshold: 0.6", "threshold: 0.5")
    counts, said = stale(run)
    assert counts == SCORES | {"evaluate": 1, "table": 1}
    assert "Evaluate the swin-t detector trained on hps, blur-30, seed 0" in said


# Without Snakemake's memory


def refused(folder, *arguments):
    """What a run ends with, and the arguments of the command that it gives."""
    former = snapshot(folder)
    done = snakemake(*arguments, "--cores", "1", *TEST, folder=folder)
    assert done.returncode == 1 and "Traceback" not in said(done)
    assert snapshot(folder) == former
    sentence = said(done).partition("WorkflowError:\n")[2].partition("\n")[0]
    return sentence, shlex.split(re.search(r"`snakemake (.*)`", sentence)[1])


def test_a_dry_run_writes_no_results(finished, tmp_path):
    shutil.copytree(finished, tmp_path, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("results"))
    assert stale(tmp_path)[0]
    assert not (tmp_path / "results").exists()


def test_the_record_holds_what_snakemake_knows(finished):
    record = json.loads((finished / "results/test/record.json").read_text())
    noted = {}
    for path in (finished / ".snakemake/metadata").iterdir():
        job = json.loads(path.read_text())
        noted[job["rule"], job["job_hash"]] = job["params"]
    made = [record["params"][digest] for digest in record["results"].values()]
    params = [sorted(repr(value) for name, value in job.items() if name != "input files") for job in made]
    assert sorted(params) == sorted(noted.values()) and len(params) > 100


def test_nothing_is_stale_without_snakemakes_memory(run):
    shutil.rmtree(run / ".snakemake")
    assert stale(run) == ({}, set())


def test_a_changed_parameter_is_told_without_snakemakes_memory(run):
    shutil.rmtree(run / ".snakemake")
    edit(run, "config/corruptions.yaml", "sigma: 4.0", "sigma: 5.0")
    sentence, _ = refused(run, "-n")
    assert "corrupt: recipe.sigma: 4 -> 5;" in sentence
    sentence, again = refused(run)
    # Touched in place of made: the command, and what it leaves behind.
    done = snakemake("-n", *again, folder=run)
    assert jobs(done) == A_RECIPE_OF_TABLE_2 | RECORD
    done = snakemake("--touch", *again, folder=run)
    assert done.returncode == 0, said(done)
    assert stale(run) == ({}, set())
    shutil.rmtree(run / ".snakemake")
    assert stale(run) == ({}, set())
    edit(run, "config/corruptions.yaml", "sigma: 5.0", "sigma: 4.0")
    assert "corrupt: recipe.sigma: 5 -> 4;" in refused(run)[0]


def test_changed_code_is_told_without_snakemakes_memory(run):
    shutil.rmtree(run / ".snakemake")
    add(run, "workflow/blemish/corruption/renoise.py", "\n\nADDED = 1\n")
    sentence, again = refused(run)
    assert "(figure_initial: code; invert: code)" in sentence
    assert again[-3:] == ["--forcerun", "figure_initial", "invert"]


def test_a_command_that_forces_other_rules_is_told_with_them(run):
    shutil.rmtree(run / ".snakemake")
    add(run, "workflow/blemish/corruption/renoise.py", "\n\nADDED = 1\n")
    _, again = refused(run, "--forcerun", "figure_initial")
    done = snakemake("-n", *again, folder=run)
    assert jobs(done)["invert"] == 20


def test_an_interrupted_run_of_other_settings_leaves_no_certainty(run):
    """Which results it made with them, and which are old ones, is known to Snakemake alone."""
    edit(run, "config/corruptions.yaml", "sigma: 4.0", "sigma: 5.0")
    table = "results/test/tables/table2.csv"
    done = snakemake(table, "--cores", "1", *TEST, folder=run)  # its inputs are stand-ins
    assert done.returncode == 1 and "blemish, corrupt:" in said(done)
    kept = [*(run / "results/test/corrupted/hps/blur-30").rglob("*.parquet")]
    assert len(kept) == 3
    shutil.rmtree(run / ".snakemake")
    for new, old in (("5.0", "4.0"), ("4.0", "5.0")):
        edit(run, "config/corruptions.yaml", f"sigma: {new}", f"sigma: {old}")
        sentence, again = refused(run, table)
        assert "corrupt: unknown settings" in sentence
        assert {*again} >= {str(path.relative_to(run)) for path in kept}


def test_results_of_another_run_are_not_taken_for_this_ones(run):
    """Copied without their record, say."""
    shutil.rmtree(run / ".snakemake")
    (run / "results/test/record.json").unlink()
    assert "unknown settings" in refused(run)[0]
    succeed("--touch", "--forceall", folder=run)
    shutil.rmtree(run / ".snakemake")
    assert stale(run) == ({}, set())


# What people read


def test_the_status_tells_what_is_done_what_is_next_and_why(run):
    edit(run, "config/corruptions.yaml", "sigma: 4.0", "sigma: 5.0")
    command = [sys.executable, "-m", "blemish.planning.status", *TEST[1:]]
    environment = os.environ | {"PYTHONPATH": str(run / "workflow"), "COLUMNS": "120", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=run, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, said(done)
    assert re.search(r"corrupt +\S +46 +\S +50", done.stdout) and re.search(r"draw_hps +\S +2 +\S +2", done.stdout)
    assert (
        "Corrupt hps by blur-30 in the regions of swin-t, part 0 (Params have changed since last execution)"
        in done.stdout
    )
    assert "jobs could start now" in done.stdout and "minutes of work" in done.stdout


def test_the_report_holds_tables_figures_and_the_configuration(run):
    succeed("--report", "report.html", folder=run)
    page = (run / "report.html").read_text()
    for category in ("Tables", "Claims", "Corruption", "Detectors", "Regions", "Labels", "Run"):
        assert f'"{category}"' in page
    files = ("summary.txt", "table4.csv", "strength.csv", "cost.csv", "run.yaml", "figure6.png", "labels-train.png")
    assert [name for name in files if name not in page] == []

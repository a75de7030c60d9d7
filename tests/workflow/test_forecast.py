"""The forecast counts the jobs that Snakemake would run."""

import pytest
from checkout import ROOT, jobs, snakemake

from blemish.config.load import load
from blemish.planning import forecast, workload

MADE_FOR = ("show_tables", "strength_table", "figure_pools", "figure_methods", "figure_targets", "figure_failures")


@pytest.mark.parametrize("overlays", [[], ["config/mini.yaml", "config/test.yaml"]], ids=["paper", "test"])
def test_the_jobs_are_those_of_a_dry_run(overlays, tmp_path):
    results = tmp_path / "results.yaml"  # without results, numbers of images are the config's
    results.write_text(f"pathvars: {{results: {tmp_path}/results}}")
    files = [*(ROOT / overlay for overlay in overlays), results]
    counts = jobs(snakemake("-n", "--resources", "gpu=8", "--configfile", *files))
    config = load(files)
    stages = workload.work(config, forecast.sizes(config), *forecast.trajectory(config))
    rules = {"regions": "select_regions", "inversion": "invert", "corruption": "corrupt"}
    rules |= {"reconstruction": "reconstruct", "evaluation": "evaluate"}
    counted = {stage: sum(job["started"] for job in stages[stage]) for stage in stages}
    assert {stage: counted[stage] for stage in rules} == {stage: counts[rule] for stage, rule in rules.items()}
    assert counted["selector"] + counted["detectors"] == counts["train_detector"]


def test_counting_the_cost_asks_for_no_inversion_or_corruption_of_its_own():
    needed, counted = (
        jobs(snakemake(*which, "-n", "--forceall", "--resources", "gpu=8")) for which in (MADE_FOR, ["cost"])
    )
    for rule in ("invert", "reconstruct", "corrupt"):
        assert counted[rule] == needed[rule]


def test_one_command_prints_stages_totals_and_what_they_rest_on(capsys):
    forecast.main([])
    said = capsys.readouterr().out
    for word in (*workload.STAGES, "NVIDIA H200", "not measured", "8 at a time", "273", "153"):
        assert word in said

"""The forecast counts the graph that Snakemake would run."""

import pytest
from checkout import jobs, snakemake

from blemish.planning import forecast, workload

MADE_FOR = ("show_tables", "strength_table", "figure_pools", "figure_methods", "figure_targets", "figure_failures")


@pytest.fixture(scope="module")
def graph():
    return workload.read_graph(forecast.graph_files(["all"], []), "results/paper")


def test_the_jobs_are_those_of_a_dry_run(graph):
    counts = jobs(snakemake("-n", "--forceall", "--resources", "gpu=8"))
    rules = {"regions": "select_regions", "inversion": "invert", "corruption": "corrupt"}
    rules |= {"reconstruction": "reconstruct", "detectors": "train_detector", "evaluation": "evaluate"}
    assert {stage: len(graph[stage]) for stage in rules} == {stage: counts[rule] for stage, rule in rules.items()}


def test_counting_the_cost_asks_for_no_inversion_or_corruption_of_its_own(graph):
    needed = workload.read_graph(forecast.graph_files(MADE_FOR, []), "results/paper")
    counted = workload.read_graph(forecast.graph_files(["cost"], []), "results/paper")
    for stage in ("inversion", "corruption"):
        assert sorted(map(str, counted[stage])) == sorted(map(str, needed[stage])) == sorted(map(str, graph[stage]))


def test_one_command_prints_stages_totals_and_what_they_rest_on(capsys):
    forecast.main([])
    said = capsys.readouterr().out
    for word in (*workload.STAGES, "NVIDIA H200", "not measured", "8 at a time", "273", "153"):
        assert word in said

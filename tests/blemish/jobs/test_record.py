"""The record of what results were made with, over runs that end, are killed, and lose Snakemake's own memory."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from blemish.errors import UserError
from blemish.jobs import record


@dataclass(eq=False)
class Job:
    """One job, whose output is named like its rule."""

    rule: SimpleNamespace
    output: list[str]
    params: dict
    input: list[str] = field(default_factory=list)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return World(Path("results"))


class World:
    """A folder of results, and as much of Snakemake as the record speaks to."""

    def __init__(self, results):
        self.results = results
        self.memory = {}  # .snakemake

    def workflow(self, jobs, finished=()):
        jobs = [Job(SimpleNamespace(name=name), [f"results/{name}"], params) for name, params in jobs.items()]

        def stale(job):
            former = self.memory.get(job.output[0])
            return not Path(job.output[0]).exists() or (former is not None and former != job.params)

        needrun = {job for job in jobs if stale(job)}
        dag = SimpleNamespace(
            jobs=jobs, needrun=needrun.__contains__, finished=lambda job: job in needrun and job.rule.name in finished
        )
        persistence = SimpleNamespace(
            has_metadata=lambda job: job.output[0] in self.memory,
            params_changed=lambda job: self.memory[job.output[0]] != job.params,
        )
        return SimpleNamespace(dag=dag, persistence=persistence, dag_settings=SimpleNamespace(forcerun={"forced"}))

    def run(self, jobs, finished, killed=False):
        """A run that comes to the end of the finished jobs."""
        workflow = self.workflow(jobs, finished)
        record.compare(workflow, self.results, [])
        record.start(workflow, self.results)
        for job in workflow.dag.jobs:
            if workflow.dag.finished(job):
                Path(job.output[0]).write_text("")
                self.memory[job.output[0]] = job.params
        if not killed:
            record.end(workflow, self.results)

    def complaint(self, jobs):
        try:
            record.compare(self.workflow(jobs), self.results, ["-n", "--cores", "1"])
        except UserError as error:
            return str(error)


OLD, NEW = {"a": {"x": 1}, "b": {"y": 1}}, {"a": {"x": 2}, "b": {"y": 2}}


def test_a_finished_run_is_known_without_snakemakes_memory(world):
    world.run(OLD, "ab")
    world.memory.clear()
    assert world.complaint(OLD) is None
    assert "(a: x: 1 -> 2; b: y: 1 -> 2)" in world.complaint(NEW)
    assert world.complaint(NEW).endswith("`snakemake --cores 1 --forcerun forced a b`.")


def test_what_snakemake_remembers_is_its_own_to_judge(world):
    world.run(OLD, "ab")
    (world.results / "record.json").unlink()
    assert world.complaint(OLD) is None and world.complaint(NEW) is None


@pytest.mark.parametrize("killed", [False, True])
def test_a_first_run_that_was_cut_off_is_known(world, killed):
    world.run(OLD, "a", killed)
    world.memory.clear()
    assert world.complaint(OLD) is None
    assert "(a: x: 1 -> 2)" in world.complaint(NEW)


def test_a_run_of_other_settings_that_ended_early_is_known_as_far_as_it_came(world):
    world.run(OLD, "ab")
    world.run(NEW, "a")
    world.memory.clear()
    assert "(b: unknown settings)" in world.complaint(NEW)
    assert "(a: x: 2 -> 1; b: unknown settings)" in world.complaint(OLD)


def test_nothing_is_certain_after_a_run_of_other_settings_was_killed(world):
    world.run(OLD, "ab")
    world.run(NEW, "a", killed=True)
    world.memory.clear()
    for settings in (OLD, NEW):
        assert "(a: unknown settings; b: unknown settings)" in world.complaint(settings)


def test_the_next_start_after_a_kill_is_certain_again(world):
    world.run(OLD, "ab")
    world.run(NEW, "a", killed=True)
    world.run(NEW, "b")
    world.memory.clear()
    assert world.complaint(NEW) is None


def test_a_result_that_snakemake_was_told_to_keep_is_not_taken_for_one_of_the_present_settings(world):
    """With --rerun-triggers mtime, say."""
    world.run(OLD, "ab")
    workflow = world.workflow(NEW)
    workflow.dag.needrun = lambda job: False
    record.start(workflow, world.results)
    record.end(workflow, world.results)
    world.memory.clear()
    assert "(a: unknown settings; b: unknown settings)" in world.complaint(NEW)


def test_runs_of_parts_of_the_graph_share_a_record(world):
    world.run({"a": OLD["a"]}, "a")
    world.run({"b": OLD["b"]}, "b")
    world.memory.clear()
    assert world.complaint(OLD) is None


@pytest.mark.parametrize("text", [None, "", "[]", '{"results": {"results/a": 1}}'])
def test_without_a_sound_record_nothing_is_certain(world, text):
    world.run(OLD, "ab")
    world.memory.clear()
    path = world.results / "record.json"
    path.unlink() if text is None else path.write_text(text)
    assert "(a: unknown settings; b: unknown settings)" in world.complaint(OLD)


def test_other_inputs_are_other_settings(world):
    world.run(OLD, "ab")
    world.memory.clear()
    workflow = world.workflow(OLD)
    workflow.dag.jobs[0].input.append("another")
    with pytest.raises(UserError, match=r"\(a: input files\)"):
        record.compare(workflow, world.results, [])

"""Leases on GPUs: never two jobs on one, free however the holder dies, within CUDA_VISIBLE_DEVICES."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from blemish.errors import UserError
from blemish.jobs import devices

WORKFLOW = Path(devices.__file__).parents[2]
EIGHT = [f"GPU-{letter}" for letter in "abcdefgh"]


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine of eight pretend GPUs with nothing leased; returns `monkeypatch` to change it."""
    for variable in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "SLURM_JOB_ID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("BLEMISH_LEASES", str(tmp_path / "gpus.lock"))
    monkeypatch.setenv("BLEMISH_GPUS", ",".join(EIGHT))
    monkeypatch.setenv("PYTHONPATH", str(WORKFLOW))
    return monkeypatch


def start(code: str) -> subprocess.Popen:
    """A process that runs `code`; its first line of output says that it has got somewhere."""
    preamble = "import multiprocessing, os, subprocess, sys, time\nfrom blemish.jobs import devices\n"
    command = [sys.executable, "-S", "-c", preamble + code]
    # No standard input: within a lease it would be a share of that lease.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def held() -> list[str]:
    return sorted(device for device, _, _ in devices.holders())


def wait_until(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


class TestLease:
    def test_sets_what_cuda_sees_and_puts_it_back(self, machine):
        machine.setenv("CUDA_VISIBLE_DEVICES", "2,3,5")
        with devices.lease(2) as mine:
            assert mine == ["GPU-c", "GPU-d"]
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-c,GPU-d"
            assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3,5"
        assert "CUDA_DEVICE_ORDER" not in os.environ
        assert held() == []

    def test_a_job_of_no_gpu_sees_none(self):
        with devices.lease(0) as mine:
            assert mine == []
            assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
            assert subprocess.run(["printenv", "CUDA_VISIBLE_DEVICES"], capture_output=True).stdout == b"\n"

    @pytest.mark.parametrize(
        ("there", "gpus", "expected"),
        [
            ("0,1", 4, r"needs 4 GPUs and there are 2 GPUs on"),
            ("", 1, r"needs 1 GPU and there is no GPU on .*CUDA_VISIBLE_DEVICES is set"),
        ],
    )
    def test_a_pool_that_is_too_small_is_an_error_at_once(self, machine, there, gpus, expected):
        machine.setenv("CUDA_VISIBLE_DEVICES", there)
        with pytest.raises(UserError, match=expected), devices.lease(gpus):
            pass

    def test_says_who_holds_what(self):
        with devices.lease(2, description="train_detector hps"):
            assert devices.holders() == [
                ("GPU-a", os.getpid(), "train_detector hps"),
                ("GPU-b", os.getpid(), "train_detector hps"),
            ]
        assert devices.holders() == []

    def test_is_freed_by_an_exception(self):
        with pytest.raises(ZeroDivisionError), devices.lease(1):
            raise ZeroDivisionError
        assert held() == []

    def test_a_half_written_note_does_no_harm(self):
        Path(os.environ["BLEMISH_LEASES"]).write_text('{"GPU-a": [12, "tra')
        with devices.lease(1):
            assert held() == ["GPU-a"]

    def test_every_user_may_write_the_file(self):
        with devices.lease(1):
            assert Path(os.environ["BLEMISH_LEASES"]).stat().st_mode & 0o777 == 0o666

    def test_two_runs_that_spell_a_gpu_differently_share_no_gpu(self, machine):
        machine.setenv("CUDA_VISIBLE_DEVICES", "0")
        with devices.lease(1) as first:
            machine.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
            with devices.lease(1) as second:
                assert (first, second) == (["GPU-a"], ["GPU-b"])


class TestDeath:
    def test_sigkill_frees_the_gpu(self):
        process = start("with devices.lease(8): print('held', flush=True); time.sleep(60)")
        process.stdout.readline()
        assert held() == EIGHT
        process.kill()
        process.wait()
        assert held() == []

    @pytest.mark.parametrize(
        "child",
        [
            "subprocess.Popen(['sleep', '60'])",
            "subprocess.Popen(['sh', '-c', 'sleep 60 & sleep 60'])",
            "multiprocessing.get_context('spawn').Process(target=time.sleep, args=(60,)).start()",
            "os.fork() or (time.sleep(60), os._exit(0))",
        ],
        ids=["subprocess", "grandchild", "spawn", "fork"],
    )
    def test_a_child_keeps_the_lease_of_a_killed_job(self, child):
        code = f"with devices.lease(2):\n  os.setsid()\n  {child}\n  print('held', flush=True)\n  time.sleep(60)"
        process = start(code)
        process.stdout.readline()
        time.sleep(0.2)
        process.kill()
        process.wait()
        assert held() == ["GPU-a", "GPU-b"]
        os.killpg(process.pid, signal.SIGKILL)
        wait_until(lambda: held() == [])


class TestWaiting:
    def test_waits_until_enough_are_free(self):
        holder = start("with devices.lease(7): print('held', flush=True); time.sleep(0.4)")
        holder.stdout.readline()
        began = time.monotonic()
        with devices.lease(2) as mine:
            assert time.monotonic() - began > 0.2
            assert mine == ["GPU-a", "GPU-b"]
        holder.wait()

    def test_a_job_of_many_is_not_overtaken_by_later_jobs_of_one(self, machine):
        machine.setenv("BLEMISH_GPUS", "GPU-a,GPU-b")
        with devices.lease(1):
            machine.delenv("CUDA_VISIBLE_DEVICES")
            many = start("with devices.lease(2): print(time.monotonic()); time.sleep(0.1)")
            time.sleep(0.5)
            one = start("with devices.lease(1): print(time.monotonic())")
            time.sleep(0.5)
            assert many.poll() is None and one.poll() is None, "GPU-b is free, but its turn is the other job's"
        assert float(many.communicate()[0]) < float(one.communicate()[0])

    def test_runs_on_other_gpus_do_not_wait(self, machine):
        machine.setenv("CUDA_VISIBLE_DEVICES", "0")
        with devices.lease(1):
            waiting = start("with devices.lease(1): pass")
            time.sleep(0.3)
            machine.setenv("CUDA_VISIBLE_DEVICES", "1")
            with devices.lease(1) as mine:
                assert mine == ["GPU-b"]
            assert waiting.poll() is None
        assert waiting.wait(20) == 0


MIG = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
  MIG 3g.20gb     Device  0: (UUID: MIG-7089d0f3-293f-58c9-8f8c-5ea666eedbde)
  MIG 3g.20gb     Device  1: (UUID: MIG-56c30729-347f-5dd6-8da0-c3cc59e969e0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-11111111-d268-c3f3-1b07-005d5ae1dc3f)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-12222222-d268-c3f3-1b07-005d5ae1dc3f)
"""
SLICES = ["MIG-7089d0f3-293f-58c9-8f8c-5ea666eedbde", "MIG-56c30729-347f-5dd6-8da0-c3cc59e969e0"]
WHOLE = ["GPU-11111111-d268-c3f3-1b07-005d5ae1dc3f", "GPU-12222222-d268-c3f3-1b07-005d5ae1dc3f"]


class TestVisible:
    @pytest.fixture
    def listing(self, machine, tmp_path):
        """An nvidia-smi that lists two whole GPUs and one in two slices."""
        machine.delenv("BLEMISH_GPUS")
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{MIG}END\n")
        program.chmod(0o755)
        machine.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return machine

    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            (None, SLICES + WHOLE),
            ("1,2", WHOLE),
            (" 2 , 1 ", WHOLE[::-1]),
            ("0", SLICES[:1]),
            ("GPU-11,GPU-12", WHOLE),
            (f"{SLICES[1]},1", [SLICES[1], WHOLE[0]]),
            ("1,1", WHOLE[:1]),
            ("1,-1,2", WHOLE[:1]),
            ("1,7,2", WHOLE[:1]),
            ("GPU-1", []),
            ("", []),
            ("NoDevFiles", []),
        ],
    )
    def test_follows_cuda(self, listing, chosen, expected):
        if chosen is not None:
            listing.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert devices.visible() == expected

    def test_a_process_gets_one_slice_at_most(self, listing):
        listing.setenv("CUDA_VISIBLE_DEVICES", ",".join(SLICES))
        with devices.lease(1) as mine:
            assert mine == SLICES[:1]
        with pytest.raises(UserError, match="one GPU a job"), devices.lease(2):
            pass

    def test_without_nvidia_smi_there_is_what_the_environment_names(self, machine, tmp_path):
        machine.delenv("BLEMISH_GPUS")
        machine.setenv("PATH", str(tmp_path))
        assert devices.visible() == []
        machine.setenv("CUDA_VISIBLE_DEVICES", "0,3")
        assert devices.visible() == ["0", "3"]

    def test_an_nvidia_smi_that_fails_is_no_gpu(self, machine, tmp_path, caplog):
        machine.delenv("BLEMISH_GPUS")
        (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
        machine.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert devices.visible() == []
        assert "nvidia-smi -L failed" in caplog.text


class TestSlurm:
    def test_as_many_as_asked_for_are_passed_through(self, machine):
        machine.setenv("SLURM_JOB_ID", "12")
        machine.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        with devices.lease(2) as mine:
            assert mine == ["0", "1"]
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"

    def test_of_more_some_are_leased(self, machine):
        machine.setenv("SLURM_JOB_ID", "12")
        machine.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
        with devices.lease(2) as first:
            machine.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
            with devices.lease(1) as second:
                assert (first, second) == (["0", "1"], ["2"])

    def test_device_0_of_another_slurm_job_is_another_device(self, machine):
        machine.setenv("CUDA_VISIBLE_DEVICES", "0")
        machine.setenv("SLURM_JOB_ID", "12")
        with devices.lease(1):
            machine.setenv("SLURM_JOB_ID", "13")
            with devices.lease(1) as mine:
                assert mine == ["0"]
                assert held() == ["0 of SLURM job 12", "0 of SLURM job 13"]


class TestRequire:
    def test_enough(self):
        devices.require(8, local=True, per_job=8)

    def test_fewer_than_one_job_needs_is_not_cut_silently(self):
        with pytest.raises(UserError, match=r"one job of the config needs 4 GPUs: type `--resources gpu=4`"):
            devices.require(2, local=True, per_job=4)

    def test_a_run_without_cuda_needs_none(self, machine):
        machine.setenv("CUDA_VISIBLE_DEVICES", "")
        devices.require(None, local=True, per_job=0)

    @pytest.mark.parametrize(("gpus", "there"), [(None, ""), (8, "")])
    def test_a_cluster_counts_its_own(self, machine, gpus, there):
        machine.setenv("CUDA_VISIBLE_DEVICES", there)
        devices.require(gpus, local=False)

    @pytest.mark.parametrize(
        ("gpus", "there", "expected"),
        [
            (None, "0,1", r"add `--resources gpu=2` to the command"),
            (4, "0,1", r"`--resources gpu=4` was given and there are 2 GPUs on .*: type `--resources gpu=2`"),
            (4, "", r"there is no GPU on .*profiles/slurm"),
            (None, "", r"there is no GPU on .*profiles/slurm"),
        ],
    )
    def test_says_what_is_missing_and_what_to_type(self, machine, gpus, there, expected):
        machine.setenv("CUDA_VISIBLE_DEVICES", there)
        with pytest.raises(UserError, match=expected) as caught:
            devices.require(gpus, local=True)
        assert "`make demo`, which needs no GPU" in str(caught.value)


def test_what_a_graph_asks_for_is_what_its_rules_say_and_not_what_was_promised():
    """Snakemake cuts a job's own resources to what was promised; an expression is known of a job alone."""

    def job(rules, cut):
        return SimpleNamespace(rule=SimpleNamespace(resources=rules), resources={"gpu": cut})

    def resource(value):
        return SimpleNamespace(value=value, is_evaluable=lambda: callable(value))

    jobs = [job({}, 0), job(None, 0), job({"gpu": resource(1)}, 1)]
    dag = SimpleNamespace(needrun_jobs=lambda: iter(jobs))
    assert devices.asked_for(dag) == 1
    jobs.append(job({"gpu": resource(4)}, 2))
    assert devices.asked_for(dag) == 4
    jobs.append(job({"gpu": resource(len)}, 8))
    assert devices.asked_for(dag) == 8
    jobs.clear()
    assert devices.asked_for(dag) == 0


def test_the_view_names_holders_free_gpus_and_orphans(capsys):
    process = start(
        "with devices.lease(1, description='invert hps'):\n  subprocess.Popen(['sleep', '60'])\n"
        "  os.setsid(); print('held', flush=True); time.sleep(60)"
    )
    process.stdout.readline()
    devices.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"GPU-a\t{process.pid}\tinvert hps"
    assert lines[1:] == [f"{device}\t-\tfree" for device in EIGHT[1:]]


# The stress test: two drivers that count GPUs as Snakemake does, and do not know of each other.

LEASES = 1110
SIZES = (1, 1, 1, 2, 2, 4, 4, 8)


class Journal:
    """One line an event, appended by whoever it happens to; the clock is the machine's."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, event: str, job: str, gpus=()) -> None:
        os.write(self.descriptor, f"{time.monotonic_ns()} {event} {job} {','.join(gpus)}\n".encode())


def job(journal: Journal, name: str, gpus: int, rng: random.Random) -> None:
    """Takes its GPUs, uses them for some milliseconds; one in six leaves a child behind."""
    with devices.lease(gpus, description=name) as mine:
        journal.write("take", name, mine)
        expected = {(gpu, os.getpid(), name) for gpu in mine}
        if rng.random() < 1 / 4 and not expected <= set(devices.holders()):
            journal.write("unlisted", name)
        time.sleep(rng.uniform(0.001, 0.008))
        if rng.random() < 1 / 6 and os.fork() == 0:
            journal.write("child", name)
            time.sleep(rng.uniform(0.001, 0.008))
            journal.write("child-gives", name)
            os._exit(0)
        journal.write("gives", name)


def driver(journal: Journal, name: str, leases_left: int, seed: int) -> None:
    """Starts jobs as long as its own count of GPUs allows, and kills one in twelve at a random moment."""
    rng = random.Random(seed)
    running: dict[int, tuple[str, int, float]] = {}
    started, size = 0, rng.choice(SIZES)
    while started < leases_left or running:
        while started < leases_left and sum(n for _, n, _ in running.values()) + size <= len(EIGHT):
            label, job_rng = f"{name}-{started}", random.Random(rng.random())
            started += 1
            pid = os.fork()
            if pid == 0:
                try:
                    job(journal, label, size, job_rng)
                finally:
                    os._exit(0)
            doom = time.monotonic() + rng.uniform(0, 0.02) if rng.random() < 1 / 12 else float("inf")
            running[pid] = (label, size, doom)
            size = rng.choice(SIZES)
        for pid, (label, gpus, doom) in list(running.items()):
            if time.monotonic() > doom:
                # The time of death is noted before it: an interval too short, never one too long.
                journal.write("kill", label)
                os.kill(pid, signal.SIGKILL)
                running[pid] = (label, gpus, float("inf"))
            if os.waitpid(pid, os.WNOHANG)[0]:
                del running[pid]
        time.sleep(0.001)


def start_driver(journal: Journal, name: str, leases_left: int, seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            driver(journal, name, leases_left, seed)
        finally:
            os._exit(0)
    return pid


def read_intervals(path: Path) -> tuple[dict[str, list[tuple[int, int]]], Counter]:
    """Per GPU the sorted (start, end) of its uses in ns, and how often each kind of event happened."""
    taken, ends, children, killed, counts = {}, {}, {}, {}, Counter()
    for line in path.read_text().splitlines():
        moment, event, name, gpus = line.split(" ")
        counts[event] += 1
        if event == "take":
            taken[name] = (int(moment), gpus.split(","))
            counts[len(gpus.split(","))] += 1
        else:
            {"gives": ends, "child-gives": children, "kill": killed}.get(event, {})[name] = int(moment)
    uses = defaultdict(list)
    for name, (begin, gpus) in taken.items():
        end = max(ends.get(name) or killed[name], children.get(name, 0))
        for gpu in gpus:
            uses[gpu].append((begin, end))
    return {gpu: sorted(intervals) for gpu, intervals in uses.items()}, counts


@pytest.mark.long
def test_a_thousand_leases_under_two_drivers_and_sigkills_never_overlap(tmp_path, record_property):
    journal = Journal(tmp_path / "journal")
    began = time.monotonic()
    first = start_driver(journal, "first", LEASES // 2, seed=1)
    second = start_driver(journal, "second", LEASES, seed=2)
    time.sleep(1.5)
    os.kill(second, signal.SIGKILL)  # its jobs live on
    os.waitpid(second, 0)
    third = start_driver(journal, "third", LEASES - LEASES // 2, seed=3)
    for pid in (first, third):
        os.waitpid(pid, 0)
    wait_until(lambda: held() == [])
    seconds = time.monotonic() - began

    uses, counts = read_intervals(tmp_path / "journal")
    overlaps = sum(later[0] < earlier[1] for i in uses.values() for earlier, later in itertools.pairwise(i))
    summary = f"{counts['take']} leases, {overlaps} overlaps, {counts['kill']} SIGKILLs of jobs, 1 of a driver, "
    summary += f"{counts['child']} children that outlived their job, {seconds:.0f} s"
    print(summary)
    record_property("leases", summary)
    assert overlaps == 0, summary
    assert counts["unlisted"] == 0, counts
    assert counts["take"] >= 1000, summary
    assert counts["kill"] >= 50 and counts["child"] >= 50, summary
    assert sorted(uses) == EIGHT
    assert all(counts[size] >= 50 for size in SIZES), counts

"""Runs on a real SLURM with one node and two pretend GPUs: `make test-slurm`.

The graph of tests/slurm/Snakefile stands for the paper's, with the paper's own profile.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
import yaml
from checkout import PARTS, ROOT, SNAKEMAKE, gpu_rules

pytestmark = pytest.mark.slurm

SLURM = ROOT / "tests/slurm"
# The real profile, but for the number of jobs and the waits, which suit a cluster with accounting.
PROFILE = [
    "--workflow-profile",
    str(ROOT / "profiles/slurm"),
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=1",
    "--seconds-between-status-checks=2",
    "--latency-wait=10",
    "--jobs=4",
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment in which commands speak to the test's own SLURM."""
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SLURM / "up.sh", folder], check=True, timeout=300)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "CUDA_", "BLEMISH_"))}
    yield environment | {
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{folder / 'bin'}:{SNAKEMAKE.parent}:{os.environ['PATH']}:/usr/sbin",
        "PYTHONPATH": str(ROOT / "workflow"),
        "BLEMISH_LEASES": str(folder / "gpus.lock"),
    }
    subprocess.run([SLURM / "down.sh", folder], check=True, timeout=60)


def snakemake_command(folder, *arguments):
    """The command that runs the pretend graph in `folder`."""
    return [SNAKEMAKE, "--snakefile", SLURM / "Snakefile", "--directory", folder, *arguments]


def snakemake(cluster, folder, *arguments, prefix=(), timeout=300):
    """The finished run of the pretend graph in `folder`."""
    command = [*prefix, *snakemake_command(folder, *arguments)]
    return subprocess.run(command, env=cluster, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def squeue(cluster, form="%i"):
    command = ["squeue", "-h", "-t", "PENDING,RUNNING,COMPLETING", "-o", form]
    return subprocess.run(command, env=cluster, capture_output=True, text=True, timeout=20).stdout.split()


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.2)


def use_of_devices(reports):
    """Device -> sorted (began, ended) of the jobs that were given it."""
    uses = {}
    for report in reports:
        for device in filter(None, report["CUDA_VISIBLE_DEVICES"].split(",")):
            uses.setdefault(device, []).append((report["began"], report["ended"]))
    return {device: sorted(intervals) for device, intervals in uses.items()}


@pytest.fixture(scope="module")
def run(cluster, tmp_path_factory):
    """The folder of one run of everything."""
    folder = tmp_path_factory.mktemp("run")
    done = snakemake(cluster, folder, *PROFILE)
    assert done.returncode == 0, done.stderr
    return folder


def report(run, name):
    return json.loads((run / f"{name}.json").read_text())


def attempts(run, name):
    return (run / f"{name}.attempts").read_text().count("attempt")


def asked_for(cluster, run, name):
    """What SLURM was asked for by the job that made a report: its memory, CPUs and time limit."""
    command = ["scontrol", "-o", "show", "job", report(run, name)["SLURM_JOB_ID"]]
    line = subprocess.run(command, env=cluster, capture_output=True, text=True, timeout=20, check=True).stdout
    fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
    return fields["MinMemoryNode"], fields["CPUs/Task"], fields["TimeLimit"]


def test_every_job_is_a_slurm_job_of_its_own(run):
    names = [f"corrupt/{n}" for n in range(4)] + ["train_detector", "binarize", "evaluate", "too_slow"]
    ids = [report(run, name)["SLURM_JOB_ID"] for name in names]
    assert None not in ids and len(set(ids)) == len(names)


def test_jobs_see_the_gpus_that_slurm_gave_them_and_share_none(run):
    reports = [report(run, f"corrupt/{n}") for n in range(4)] + [report(run, "train_detector")]
    assert all(len(r["CUDA_VISIBLE_DEVICES"].split(",")) == 1 for r in reports[:4])
    assert sorted(reports[4]["CUDA_VISIBLE_DEVICES"].split(",")) == ["0", "1"]
    uses = use_of_devices(reports)
    assert sorted(uses) == ["0", "1"]
    for intervals in uses.values():
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(intervals))


def test_jobs_without_a_gpu_see_none(run):
    assert report(run, "binarize")["CUDA_VISIBLE_DEVICES"] == ""


def test_the_profile_sets_memory_cpus_and_time(cluster, run):
    assert asked_for(cluster, run, "train_detector") == ("16000M", "5", "08:00:00")
    assert asked_for(cluster, run, "corrupt/0") == ("24000M", "1", "04:00:00")
    assert asked_for(cluster, run, "binarize") == ("8000M", "1", "01:00:00")


def test_a_failed_job_is_submitted_again_with_more_memory(cluster, run):
    assert attempts(run, "evaluate") == 2
    assert asked_for(cluster, run, "evaluate")[0] == "24000M"


def test_a_job_killed_by_its_time_limit_is_submitted_again_and_resumes(cluster, run):
    assert attempts(run, "too_slow") == 2
    assert asked_for(cluster, run, "too_slow")[0] == "8000M"


def test_ctrl_c_cancels_and_the_next_start_goes_on(cluster, tmp_path):
    # What a shell starts in the background, these tests perhaps, ignores SIGINT, and so do its children.
    command = ["env", "--default-signal=INT", *snakemake_command(tmp_path, *PROFILE, "endless.json")]
    process = subprocess.Popen(command, env=cluster, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until((tmp_path / "endless.attempts").exists, 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    wait_until(lambda: squeue(cluster) == [], 30)
    assert not (tmp_path / "endless.json").exists()
    done = snakemake(cluster, tmp_path, *PROFILE, "endless.json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "endless.attempts").read_text().count("attempt") == 2


def test_within_an_allocation_a_local_run_leases_among_its_gpus(cluster, tmp_path):
    local = ["--executor=local", "--cores=4", "--resources=gpu=2"]
    targets = [f"corrupt/{n}.json" for n in range(4)]
    allocation = ["srun", "--gpus=2", "--ntasks=1", "--cpus-per-task=4"]
    done = snakemake(cluster, tmp_path, *local, *targets, prefix=allocation)
    assert done.returncode == 0, done.stderr
    reports = [json.loads((tmp_path / target).read_text()) for target in targets]
    assert len({report["SLURM_JOB_ID"] for report in reports}) == 1
    uses = use_of_devices(reports)
    assert sorted(uses) == ["0", "1"]
    for intervals in uses.values():
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(intervals))


def test_the_whole_graph_makes_the_same_tables_as_a_local_run(cluster, tmp_path):
    """Networks run on the CPU; the profile hands out pretend GPUs all the same."""
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    for rule in gpu_rules():
        profile["set-resources"][rule]["gpu"] = 1
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/config.yaml").write_text(yaml.safe_dump(profile))

    on_slurm, at_home = tmp_path / "slurm", tmp_path / "local"
    overlays = ["--configfile", "config/mini.yaml", "config/test.yaml"]
    # The gallery would need all that is corrupted.
    detector = "results/test/detectors/hps/gaussian-30/swin-t/seed-0"
    targets = [
        "results/test/tables/table4.csv",
        "results/test/figures/figure6.png",
        f"{detector}/probabilities.parquet",
    ]
    for folder, arguments in (
        (on_slurm, ["--workflow-profile", str(tmp_path / "profile"), *PROFILE[2:]]),
        (at_home, ["--cores=2"]),
    ):
        for name in PARTS:
            folder.mkdir(exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        command = [SNAKEMAKE, *targets, *arguments, *overlays]
        done = subprocess.run(command, env=cluster, cwd=folder, capture_output=True, text=True, timeout=3600)
        assert done.returncode == 0, done.stderr

    logs = on_slurm / "results/test/logs"
    for rule in gpu_rules() - {"gallery"}:
        texts = [path.read_text() for path in (logs / rule).rglob("*.log")]
        assert texts and all("holding 1 GPU of 1" in text for text in texts)
    tables = sorted((at_home / "results/test/tables").glob("*.csv"))
    assert tables
    for table in tables:
        assert (on_slurm / "results/test/tables" / table.name).read_bytes() == table.read_bytes(), table.name

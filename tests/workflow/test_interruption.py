"""A job or Snakemake itself is killed in the middle of a small run: the next start goes on, to the same files."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from checkout import SNAKEMAKE, link_checkout, said, snakemake

pytestmark = pytest.mark.long

# Batches of one image and many checkpoints, so that there is a middle.
OVERLAY = """
corruption: {batch_size: 1}
detectors: {iterations: 80, checkpoint_interval: 4, log_interval: 4}
"""
OPTIONS = ("--cores", "1", "--configfile", "config/mini.yaml", "config/test.yaml", "overlay.yaml")
INVERTED = "results/test/inversion/hps/0/20.safetensors"
CORRUPTED = "results/test/corrupted/hps/gaussian-30/swin-t/0.parquet"
RECONSTRUCTED = "results/test/reconstructed/hps/0.parquet"
DETECTOR = "results/test/detectors/hps/gaussian-30/swin-t/seed-0/weights.safetensors"
# Rule -> its target, files of its state that appear one by one, what the log of the next start says.
JOBS = {
    "invert": (INVERTED, "*/*.safetensors", r"5 images \([1-4] were there\)"),
    "reconstruct": (RECONSTRUCTED, "*/*.parquet", r"5 images \([1-4] were there\)"),
    "corrupt": (CORRUPTED, "*/*.parquet", r"5 images \([1-4] were there\)"),
    "train_detector": (DETECTOR, "last_checkpoint", r"resumed .*iter: [1-9]"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = link_checkout(tmp_path_factory.mktemp("undisturbed"))
    (folder / "overlay.yaml").write_text(OVERLAY)
    done = snakemake(DETECTOR, *OPTIONS, folder=folder)
    assert done.returncode == 0, said(done)
    return folder


@pytest.fixture
def run(undisturbed, tmp_path):
    subprocess.run(["cp", "-a", f"{undisturbed}/.", tmp_path], check=True)
    return tmp_path


def state(folder, target):
    """Where the job that makes the target keeps what it would go on from; the folder is named after its code too."""
    target = folder / target
    return next(target.parent.glob(f".{target.name}.*.state"), target.with_name("not begun"))


def start(folder, target):
    command = [SNAKEMAKE, target, *OPTIONS]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition, process, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "it was through before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)


def job_of(process):
    """The process id of the job that a Snakemake with one core is running."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    [job] = [line for line in listing.stdout.splitlines() if "/.snakemake/scripts/" in line]
    return int(job.split()[0])


def files(folder, target):
    """The contents of all files beside the target; folders of curves hold the times at which they were written."""
    beside = (path for path in (folder / target).parent.iterdir() if path.is_file() and path.name[0] != ".")
    return {path.name: path.read_bytes() for path in beside}


def leftovers(folder):
    return [path for path in (folder / "results").rglob(".*") if path.name != ".snakemake_timestamp"]


def interrupted(folder, rule):
    """A Snakemake whose job has something to go on from."""
    target, parts, _ = JOBS[rule]
    (folder / target).unlink()
    process = start(folder, target)
    wait_for(lambda: any(state(folder, target).glob(parts)), process)
    return process


@pytest.mark.parametrize("rule", JOBS)
def test_a_killed_job_goes_on_where_it_was(run, undisturbed, rule):
    target, _, words = JOBS[rule]
    process = interrupted(run, rule)
    os.kill(job_of(process), signal.SIGKILL)
    assert process.wait(60) != 0
    assert not (run / target).exists()
    done = snakemake(target, *OPTIONS, folder=run)
    assert done.returncode == 0, said(done)
    assert any(re.search(words, log.read_text()) for log in (run / "results/test/logs" / rule).rglob("*.log"))
    assert files(run, target) == files(undisturbed, target)
    assert leftovers(run) == []


@pytest.mark.parametrize("rule", JOBS)
def test_after_snakemake_was_killed_the_next_start_makes_the_same_files(run, undisturbed, rule):
    target, _, _ = JOBS[rule]
    process = interrupted(run, rule)
    job = job_of(process)
    process.kill()
    process.wait()
    done = snakemake(target, *OPTIONS, folder=run)  # at once, whatever became of the job
    assert done.returncode == 0, said(done)
    end = time.monotonic() + 60
    while Path(f"/proc/{job}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert files(run, target) == files(undisturbed, target)
    assert leftovers(run) == []

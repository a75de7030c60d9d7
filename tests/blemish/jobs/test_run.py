import subprocess
import sys
import textwrap
import time
from subprocess import PIPE

import pytest

from blemish.data.files import atomic


def test_atomic_leaves_nothing_half_written(tmp_path):
    out = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError), atomic(out) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(out.parent.iterdir()) == []
    with atomic(out) as temporary:
        temporary.write_text("whole")
        assert not out.exists()
    assert [p.name for p in out.parent.iterdir()] == ["file.txt"]


def test_what_is_made_may_be_read_like_any_other_file(tmp_path):
    with atomic(tmp_path / "made") as temporary:
        temporary.touch(mode=0o600)
    (tmp_path / "other").touch()
    assert (tmp_path / "made").stat().st_mode == (tmp_path / "other").stat().st_mode


def start_job(tmp_path, body, code="1"):
    program = (
        textwrap.dedent(
            """
        from types import SimpleNamespace
        from blemish.errors import UserError
        from blemish.jobs.run import run, state
        settings = {"resources": {"gpu": 0}, "params": {"code": CODE}}
        with run(SimpleNamespace(log=["log.txt"], output=["made"], threads=1, rule="a rule", **settings)):
            BODY
        """
        )
        .replace("BODY", body)
        .replace("CODE", repr(code))
    )
    return subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True)


def wait_for(file, text, process, seconds=60):
    end = time.monotonic() + seconds
    while not file.exists() or text not in file.read_text():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)


def run_job(tmp_path, body, code="1"):
    process = start_job(tmp_path, body, code)
    stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_a_users_mistake_is_one_sentence(tmp_path):
    done = run_job(tmp_path, "raise UserError('no such thing: make it.')")
    assert done.returncode == 1
    assert done.stderr.strip() == "blemish, a rule: no such thing: make it."
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_a_missing_file_is_named(tmp_path):
    done = run_job(tmp_path, "open('absent.txt')")
    assert done.returncode == 1
    assert "absent.txt" in done.stderr and "Traceback" not in done.stderr


def test_what_a_job_prints_goes_to_its_log(tmp_path):
    done = run_job(tmp_path, "print('hello')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "log.txt").read_text().strip() == "hello"


def test_a_job_waits_for_its_twin_that_outlived_a_run(tmp_path):
    """Two at once in one state folder would take each other's parts."""
    first = start_job(tmp_path, "import time; print('first'); time.sleep(3); open('ended', 'w')")
    wait_for(tmp_path / "log.txt", "first", first)
    (tmp_path / "log.txt").unlink()  # as Snakemake does before it starts a job
    second = run_job(tmp_path, "import os; print('second', os.path.exists('ended'))")
    assert first.wait(60) == second.returncode == 0
    assert second.stderr.strip() == (
        "blemish, a rule: the same job of a run that was killed is still at work: waiting for its end."
    )
    assert (tmp_path / "log.txt").read_text().strip() == "second True"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ended", "log.txt"]


def test_a_killed_job_leaves_no_lock(tmp_path):
    first = start_job(tmp_path, "import time; print('first'); time.sleep(60)")
    wait_for(tmp_path / "log.txt", "first", first)
    first.kill()
    first.wait(60)
    done = run_job(tmp_path, "print('second')")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "log.txt").read_text().strip() == "second"


def test_a_fault_of_the_program_keeps_its_traceback(tmp_path):
    done = run_job(tmp_path, "1 / 0")
    assert done.returncode != 0
    assert "ZeroDivisionError" in (tmp_path / "log.txt").read_text()


def test_a_job_goes_on_from_what_the_same_code_kept_and_from_no_other(tmp_path):
    keep = "state('made').mkdir(); raise UserError('interrupted.')"
    print_kept = "print(state('made').exists())"
    run_job(tmp_path, keep)
    run_job(tmp_path, print_kept)
    assert "True" in (tmp_path / "log.txt").read_text()
    run_job(tmp_path, print_kept, code="2")
    assert "False" in (tmp_path / "log.txt").read_text()
    assert not list(tmp_path.glob(".made*state"))

"""Two runs on one folder, two jobs for one file: one works, the other waits or says so; a killed one leaves no lock."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from checkout import ROOT, SNAKEMAKE, link_checkout, said, snakemake

from blemish.jobs import locks
from blemish.sources.http import download

TARGET = "results/test/sources/richhf/test.tfrecord"
TEST = ("--cores", "1", "--configfile", "config/mini.yaml", "config/test.yaml")


@pytest.fixture
def slow(tmp_path):
    """A checkout in which every fetch takes its time."""
    folder = link_checkout(tmp_path)
    (folder / "slow").mkdir()
    (folder / "slow/sitecustomize.py").write_text(
        textwrap.dedent(
            """
            import os, sys, time
            if any(".snakemake/scripts" in word for word in sys.orig_argv):
                open("started", "w").close()
                while os.path.exists("hold"):
                    time.sleep(0.05)
            """
        )
    )
    (folder / "hold").touch()
    return folder


def start(folder, *options):
    environment = os.environ | {"PYTHONPATH": f"{folder}/slow{os.pathsep}{os.environ['PYTHONPATH']}"}
    return subprocess.Popen(
        [SNAKEMAKE, TARGET, *TEST, *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(path, process):
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)


def test_a_second_run_in_the_folder_says_that_one_works(slow):
    first = start(slow)
    wait_for(slow / "started", first)
    second = snakemake(TARGET, *TEST, folder=slow)
    assert second.returncode == 1
    assert "LockException" in said(second) and "no other Snakemake process" in said(second)
    assert "Traceback" not in said(second)
    (slow / "hold").unlink()
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 0, output
    assert (slow / TARGET).read_bytes() == (ROOT / "resources/mini/richhf/test.tfrecord").read_bytes()


def test_a_run_that_was_killed_does_not_lock_the_next_out(slow):
    first = start(slow)
    wait_for(slow / "started", first)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert list((slow / ".snakemake/locks").iterdir())
    done = snakemake(TARGET, *TEST, folder=slow)
    assert done.returncode == 0, said(done)
    assert "was killed: its lock is removed" in said(done)
    assert (slow / TARGET).exists()


HOLD = """
import sys
from blemish.jobs import locks
locks.forget_stale(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_locks_are_stale_only_if_nobody_holds_ours_and_this_machine_did(tmp_path, monkeypatch):
    folder = tmp_path / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    lock = folder / "locks/0.output.lock"
    lock.touch()
    command = [sys.executable, "-c", HOLD, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert lock.exists()  # nothing says on which machine it was made
        assert not locks.forget_stale(folder) and lock.exists()  # the other process lives
        locks._held.pop().close()
        other.kill()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(locks.socket, "gethostname", lambda: "another machine")
        assert not locks.forget_stale(folder) and lock.exists()
    locks._held.pop().close()
    (folder / "blemish.lock").write_text(locks.socket.gethostname())
    assert locks.forget_stale(folder) and not lock.exists()
    locks._held.pop().close()


class Counting(SimpleHTTPRequestHandler):
    requests = 0

    def do_GET(self):
        type(self).requests += 1
        time.sleep(1)
        super().do_GET()

    def log_message(self, *_):
        pass


FETCH = """
import logging, sys
from pathlib import Path
from blemish.sources.http import download
logging.basicConfig(level=logging.INFO)
download(sys.argv[1], Path(sys.argv[2]), verify=lambda path: None)
"""


def test_two_jobs_that_want_one_file_fetch_it_once(tmp_path):
    (tmp_path / "served").mkdir()
    content = bytes(range(256)) * 4096
    (tmp_path / "served/file").write_bytes(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=tmp_path / "served"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-c", FETCH, f"http://127.0.0.1:{server.server_address[1]}/file", str(tmp_path / "file")]
    jobs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    texts = [job.communicate(timeout=120)[1] for job in jobs]
    server.shutdown()
    assert [job.returncode for job in jobs] == [0, 0, 0], texts
    assert Path(tmp_path / "file").read_bytes() == content
    assert Counting.requests == 1
    assert sum("another job fetches" in text for text in texts) == 2


def test_a_job_that_was_killed_while_it_fetched_blocks_nobody(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served/file").write_bytes(b"x" * 1000)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=tmp_path / "served"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/file"
    job = subprocess.Popen([sys.executable, "-c", FETCH, address, str(tmp_path / "file")], stderr=subprocess.DEVNULL)
    wait_for(tmp_path / ".file.lock", job)
    job.kill()
    job.wait()
    download(address, tmp_path / "file", verify=lambda path: None)
    server.shutdown()
    assert (tmp_path / "file").read_bytes() == b"x" * 1000

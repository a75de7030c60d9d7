"""A full disk, a read-only one, no memory: one sentence, exit code 1; when that is mended the same command goes on."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from checkout import ROOT, link_checkout, said, snakemake

from blemish.data.records import Record, write_records
from blemish.errors import UserError
from blemish.report import tables
from blemish.sources.http import download

SIZE = 12 * 2**20


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk, but=0):
    """Leaves `but` bytes free."""
    free = os.statvfs(disk)
    with open(disk / "filler", "wb") as file:
        file.write(bytes(max(0, free.f_bavail * free.f_bsize - but)))


def make_read_only(disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


def make_writable(disk):
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def job(folder, body, log="job.log"):
    """Runs `body` as a job of Snakemake's would; its results and its log lie in `folder`."""
    program = f"""
        from pathlib import Path
        from types import SimpleNamespace
        from blemish.jobs.run import run
        more = {{"resources": {{"gpu": 0}}, "params": {{}}, "output": []}}
        snakemake = SimpleNamespace(log=[{log!r}], threads=1, rule="a rule", **more)
        with run(snakemake):
        """
    source = textwrap.dedent(program) + textwrap.indent(textwrap.dedent(body), "    ")
    return subprocess.run([sys.executable, "-c", source], cwd=folder, capture_output=True, text=True, timeout=300)


def is_one_sentence(done, *words):
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("blemish, a rule: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
    return True


def leftovers(folder):
    """Files under names of their own that are not whole: none may be there."""
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


# The jobs: what they need lies in `source`, what they write in the working directory.

INVERT = """
    from blemish.config.load import load
    from blemish.corruption.engine import Engine
    from blemish.corruption.invert import invert_shard
    from blemish.corruption.settings import ReNoise
    engine = Engine.load("{root}/resources/mini/diffusion", 50, 0, 2, "cpu", "float32")
    renoise = ReNoise(**load()["renoise"] | {{"R": 0, "reg_steps": 0}})
    for n, previous in ((0, None), (2, Path("0.safetensors"))):
        out = Path(str(n) + ".safetensors")
        invert_shard(Path("{source}/images.parquet"), previous, out, engine, renoise, n)
    """
TRAIN = """
    import sys
    from blemish.detection.launch import train_records
    from blemish.detection.settings import Training
    sys.path.insert(0, "{root}/tests/tools")
    from networks import TINY
    training = Training(
        iterations=6, batch_size=2, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01, head_lr=1.0, warmup=0.1, decay=None,
        rescale=None, amp=None, workers=0, checkpoint_interval=2, log_interval=2,
    )
    images = ["{source}/images.parquet"]
    train_records(images, None, TINY["convnext"], training, "detector", "state", seed=0, device="cpu")
    """
TABLE = """
    import json, sys
    sys.path.insert(0, "{root}/scripts")
    from table import write_table
    table = json.loads(Path("{source}/table.json").read_text())
    detectors = [["hps", "pseudo", "swin-t"]]
    write_table(["{source}/metrics.json"], ["{source}/card.json"], detectors, table, None, "t.csv", "t.md", "t.tex")
    """
JOBS = {
    "invert": (INVERT, ["0.safetensors", "2.safetensors"]),
    "train": (TRAIN, ["detector/weights.safetensors", "detector/loss.csv"]),
    "table": (TABLE, ["t.csv", "t.md", "t.tex"]),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    images = [Record(f"i{i}", p, p[:, :, 0] > 200, prompt="a face") for i, p in enumerate(pixels)]
    write_records(folder / "images.parquet", images)
    metrics = dict.fromkeys([*tables.IOU, *tables.SHARES, *tables.COUNTS], 12.5)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "card.json").write_text('{"images": 4}')
    row = {"label": "a row", "train_set": "hps", "supervision": "pseudo"}
    column = {"label": "a column", "backbone": "swin-t"}
    table = {"title": "T", "caption": "C", "section": "S", "row_headers": ["R"], "rows": [row], "columns": [column]}
    (folder / "table.json").write_text(json.dumps(table))
    return folder


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """Job -> the contents of its files when nothing goes wrong."""
    made = {}
    for name, (body, outputs) in JOBS.items():
        folder = tmp_path_factory.mktemp(name)
        done = job(folder, body.format(root=ROOT, source=source))
        assert done.returncode == 0, done.stderr + (folder / "job.log").read_text()
        made[name] = {output: (folder / output).read_bytes() for output in outputs}
    return made


def goes_on(folder, name, source, undisturbed):
    body, outputs = JOBS[name]
    done = job(folder, body.format(root=ROOT, source=source))
    assert done.returncode == 0, done.stderr + (folder / "job.log").read_text()
    assert {output: (folder / output).read_bytes() for output in outputs} == undisturbed[name]
    assert leftovers(folder) == []


ROOM = {"invert": 30_000, "train": 1_000_000, "table": 0}  # enough for something, not for all


@pytest.mark.parametrize("name", JOBS)
def test_a_full_disk(disk, tmp_path, source, undisturbed, name):
    fill(disk, ROOM[name])
    done = job(disk, JOBS[name][0].format(root=ROOT, source=source), log=str(tmp_path / "job.log"))
    assert is_one_sentence(done, "run again; what was finished is kept."), done.stderr
    assert "space" in done.stderr or "disk is full" in done.stderr
    assert leftovers(disk) == []
    (disk / "filler").unlink()
    goes_on(disk, name, source, undisturbed)


@pytest.mark.parametrize("name", JOBS)
def test_a_read_only_disk(disk, tmp_path, source, undisturbed, name):
    make_read_only(disk)
    done = job(disk, JOBS[name][0].format(root=ROOT, source=source), log=str(tmp_path / "job.log"))
    assert is_one_sentence(done, "Read-only file system", "run again")
    make_writable(disk)
    goes_on(disk, name, source, undisturbed)


def test_not_even_the_log_can_be_written(disk):
    make_read_only(disk)
    assert is_one_sentence(job(disk, "pass"), "Read-only file system (.job.log.lock)")


LIMIT = """
    import resource
    import blemish.corruption.invert, blemish.detection.train, diffusers.models.unets.unet_2d_condition
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * 4096 + {room}
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    """


@pytest.mark.parametrize("name", ["invert", "train"])
def test_no_memory(tmp_path, source, undisturbed, name):
    body = textwrap.dedent(LIMIT.format(room=2**20)) + textwrap.dedent(JOBS[name][0].format(root=ROOT, source=source))
    done = job(tmp_path, body)
    assert is_one_sentence(done, "the machine's memory is used up"), (tmp_path / "job.log").read_text()
    goes_on(tmp_path, name, source, undisturbed)


@pytest.fixture
def address(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file").write_bytes(bytes(range(256)) * 16384)
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/file"
    server.shutdown()


def test_a_download_to_a_full_disk(disk, address, tmp_path):
    fill(disk, 1_000_000)
    with pytest.raises(UserError, match=r"the disk of .* is full: free space there and start again"):
        download(address, disk / "file", verify=lambda path: None)
    assert not (disk / "file").exists()
    (disk / "filler").unlink()
    download(address, disk / "file", verify=lambda path: None)
    assert (disk / "file").read_bytes() == (tmp_path / "served/file").read_bytes()


def test_a_download_to_a_read_only_disk(disk, address):
    make_read_only(disk)
    with pytest.raises(OSError, match="Read-only file system"):  # which `run` explains
        download(address, disk / "file", verify=lambda path: None)


TARGET = "results/test/sources/richhf/test.tfrecord"
TEST = ("--cores", "1", "--configfile", "config/mini.yaml", "config/test.yaml")


@pytest.mark.parametrize(
    ("spoil", "mend"), [(fill, lambda disk: (disk / "filler").unlink()), (make_read_only, make_writable)]
)
def test_snakemake_itself(disk, spoil, mend):
    """Its own message names the cause; afterwards it goes on."""
    link_checkout(disk)
    spoil(disk)
    done = snakemake(TARGET, *TEST, folder=disk)
    assert done.returncode != 0
    assert "No space left on device" in said(done) or "Read-only file system" in said(done)
    assert not (disk / TARGET).exists()
    mend(disk)
    done = snakemake(TARGET, *TEST, folder=disk)
    assert done.returncode == 0, said(done)
    assert (disk / TARGET).read_bytes() == (ROOT / "resources/mini/richhf/test.tfrecord").read_bytes()

"""What a run will need is asked for before it starts, of a hub and a server that refuse, and of the machine."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from checkout import link_checkout, said, snakemake

from blemish.config.load import load
from blemish.jobs import pytorch
from blemish.planning import preflight, rates

MINI = ["--configfile", "config/mini.yaml", "config/test.yaml", "outside.yaml"]
TEST = "results/test/sources/richhf/test.tfrecord"


@pytest.fixture
def checkout(tmp_path, server):
    """A folder with outside.yaml, which names sources of the server in place of the mini world's."""
    files = server.files
    files["train"], files["test"], files["swin-t"], files["convnext-t"] = b"a", b"bb", b"ccc", b"dddd"
    for split in ("train", "test"):
        files[f"datasets/org/images/data/{split}-00000-of-00001.parquet"] = b"images"
    for tar in "abc":
        files[f"datasets/org/hps/data/{tar}.tar"] = b"tar"
    for name in ("model_index.json", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"):
        files[f"org/model/{name}"] = b"{}"
    link_checkout(tmp_path)

    def file(name):
        return {"url": f"{server.url}/{name}"}

    outside = {
        "sources": {
            "richhf": {"records": {"train": file("train"), "test": file("test")}, "images": {"repo": "org/images"}},
            "hps": {"repo": "org/hps"},
            "diffusion": {"repo": "org/model"},
        },
        "backbones": {name: {"weights": file(name)} for name in ("swin-t", "convnext-t")},
    }
    (tmp_path / "outside.yaml").write_text(yaml.safe_dump(outside))
    return tmp_path


@pytest.fixture
def hub(server, tmp_path):
    return {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_TOKEN": "",
        "COLUMNS": "500",
    }


def ask(checkout, hub):
    """The exit code of `make preflight`, and the line of each thing asked."""
    overlays = ["config/mini.yaml", "config/test.yaml", "outside.yaml"]
    code = (
        "import sys; from rich.console import Console; from blemish.planning import preflight\n"
        "preflight.Console = lambda **_: Console(width=500)\n"
        f"preflight.main({overlays})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=checkout, env=os.environ | hub, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    cells = [[cell.strip() for cell in line.split("│")[1:5]] for line in done.stdout.splitlines() if "│" in line]
    return done.returncode, {cell[0]: cell[1:] for cell in cells}


def test_everything_is_asked_for_and_nothing_downloaded(checkout, hub, server):
    code, rows = ask(checkout, hub)
    assert code == 0
    assert rows["RichHF-18k, test"][0] == "2 bytes"
    assert rows["images of RichHF-18k, test"][0].startswith(
        "1 files of test; data/test-00000-of-00001.parquet may be had"
    )
    assert rows["HPS"][0].startswith("2 of 3 tars are to be read; data/a.tar may be had")
    assert rows["diffusion model"][0].startswith("2 files, 4 bytes; ")
    assert {"segmentation model swin-t", "PyTorch", "Python, Snakemake", "shared memory"} <= rows.keys()
    assert server.sent == 0 and not (checkout / "results").exists()


def test_what_is_missing_is_told_for_each_source_and_the_code_is_1(checkout, hub, server):
    server.answers |= {"test": 404, "swin-t": 403, "train": 503}
    server.answers["datasets/org/images/data/test-00000-of-00001.parquet"] = 403, {"X-Error-Code": "GatedRepo"}
    server.files = {name: content for name, content in server.files.items() if not name.startswith("org/model/")}
    del server.files["datasets/org/hps/data/b.tar"], server.files["datasets/org/hps/data/c.tar"]
    code, rows = ask(checkout, hub)
    assert code == 1
    assert rows["RichHF-18k, test"] == [
        f"{server.url}/test answers 404",
        "the file is missing there: correct the address in the config, or name another mirror",
        "MISSING",
    ]
    assert rows["RichHF-18k, train"][2] == "advice"
    assert "accept its licence" in rows["segmentation model swin-t"][1]
    assert rows["images of RichHF-18k, train"][2] == ""
    assert "is gated and answers 403" in rows["images of RichHF-18k, test"][0]
    assert "set HF_TOKEN" in rows["images of RichHF-18k, test"][1]
    assert rows["HPS"][0] == "org/hps has 1 tars, and sources.hps.tars asks for 2."
    assert "it is not there, or not for you" in rows["diffusion model"][1]


def test_a_run_asks_before_its_first_job_and_only_for_what_it_fetches(checkout, hub, server):
    server.answers |= {"test": 404, "train": 404}
    done = snakemake(TEST, "--cores", "1", *MINI, folder=checkout, **hub)
    assert done.returncode == 1 and "Traceback" not in said(done)
    assert f"RichHF-18k, test: {server.url}/test answers 404: the file is missing there: correct" in said(done)
    assert "train: http" not in said(done) and "Error in rule" not in said(done)
    assert "BLEMISH_NO_PREFLIGHT=1 in the environment starts without asking" in said(done)
    assert {request[1] for request in server.requests} == {"test"}

    done = snakemake(TEST, "--cores", "1", *MINI, folder=checkout, **hub, BLEMISH_NO_PREFLIGHT="1")
    assert "Error in rule fetch_richhf" in said(done)

    del server.answers["test"]
    done = snakemake(TEST, "--cores", "1", *MINI, folder=checkout, **hub)
    assert done.returncode == 0 and "Before the run" in said(done)
    asked = len(server.requests)
    done = snakemake(TEST, "results/test/sources/richhf/train.tfrecord", "-n", *MINI, folder=checkout, **hub)
    assert done.returncode == 0
    done = snakemake(TEST, "--cores", "1", *MINI, folder=checkout, **hub)
    assert "Nothing to be done" in said(done) and len(server.requests) == asked


def test_what_is_here_is_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load()
    questions = preflight.sources(config)
    assert len(questions) == 10
    monkeypatch.setattr(preflight, "sources", lambda _: {path: (path, pytest.fail) for path in questions})
    for path in questions:
        os.makedirs(path)
    assert [row.verdict for row in preflight.ask_sources(config)] == [preflight.FINE] * 10
    assert preflight.ask_sources(config, wanted=[]) == []


def test_a_source_that_keeps_silent_does_not_hold_up_the_others(monkeypatch):
    import threading

    monkeypatch.setattr(preflight, "SECONDS", 0.3)
    questions = {"a": ("a", threading.Event().wait), "b": ("b", lambda: "it is there")}
    monkeypatch.setattr(preflight, "sources", lambda _: questions)
    silent, there = preflight.ask_sources({}, "ab")
    assert silent.found == "no answer in 0.3 seconds" and silent.verdict == preflight.MISSING
    assert there.found == "it is there"


@pytest.mark.parametrize(
    ("free", "verdict", "for_a_target"), [(1e12, "", ""), (60e9, "MISSING", "advice"), (1e9,) + 2 * ("MISSING",)]
)
def test_the_disk_must_hold_the_forecast(tmp_path, monkeypatch, free, verdict, for_a_target):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert preflight.ask_disk(load()).verdict == verdict
    row = preflight.ask_disk(load(), all_needed=False)
    assert row.verdict == for_a_target and "149.6 GB more, 20.2 GB of it for sources" in row.found


@pytest.mark.parametrize(
    ("memory", "verdict", "do"),
    [(80, "", ""), (8, "advice", "halve it"), (4, "MISSING", "take GPUs of 4 GiB or more"), (None, "", "")],
)
def test_a_gpu_must_hold_one_job(monkeypatch, memory, verdict, do):
    monkeypatch.setattr(preflight, "_gpu_memory", lambda: memory)
    gpus, held = preflight._ask_gpus(load(), ["GPU-a", "GPU-b"])
    assert "--resources gpu=2" in gpus.found
    assert held.verdict == verdict and do in held.do


def test_without_a_gpu_only_a_cluster_can_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (row,) = preflight._ask_gpus(load(), [])
    assert row.verdict == "MISSING" and "profiles/slurm" in row.do
    (tmp_path / "sbatch").write_text("")
    (tmp_path / "sbatch").chmod(0o755)
    (row,) = preflight._ask_gpus(load(), [])
    assert row.verdict == "advice"


def test_a_pytorch_for_the_cpu_is_told_where_there_are_gpus(monkeypatch):
    monkeypatch.setattr(pytorch, "ask", lambda: pytorch.Build("2.13.0+cpu", None, "535.104.05", "no CUDA"))
    for there, verdict in (["GPU-a"], "MISSING"), ([], ""):
        monkeypatch.setattr(preflight.devices, "visible", lambda there=there: there)
        row = next(row for row in preflight.ask_machine(load()) if row.asked == "PyTorch")
        assert row.verdict == verdict and "535.104.05" in row.found


def test_dockers_shared_memory_is_too_little(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=64 * 2**20))
    row = preflight._ask_shared_memory(load(), trainings=1)
    assert row.verdict == "MISSING" and "--shm-size=1g" in row.do
    assert "--shm-size=2g" in preflight._ask_shared_memory(load(), trainings=8).do
    assert preflight._ask_shared_memory(load(["config/mini.yaml"]), trainings=1).verdict == ""


@pytest.mark.parametrize(
    ("resolution", "batch_size", "counted"), [(512, 8, 4.8), (512, 32, 13.8), (1024, 16, 53.1), (64, 1, None)]
)
def test_the_memory_of_a_job_is_what_was_counted(resolution, batch_size, counted):
    """benchmarks/README.md has the counts."""
    found = rates.gpu_memory(resolution, batch_size)
    assert found == (counted and pytest.approx(counted + rates.CUDA_MEMORY, abs=0.1))

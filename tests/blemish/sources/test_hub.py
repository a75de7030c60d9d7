"""The hub's own client against a server of the hub's shape: tokens, revisions, cache, offline mode, faults.

The client reads its environment when it is imported, so each test runs it in an interpreter of its own.
"""

import io
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile

import httpx2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from blemish.data.records import encode_image, read_ids
from blemish.errors import UserError
from blemish.sources import hub
from blemish.sources.hub import fetch_model, list_files
from blemish.sources.settings import Model, Repository

PIPELINE = {
    "model_index.json": b"{}",
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.safetensors": b"weights" * 1000,
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
    "unet/diffusion_pytorch_model.bin": b"pickle",
    "tokenizer/merges.txt": b"a b",
    "safety_checker/model.safetensors": b"another",
    "v1-5-pruned.ckpt": b"pickle",
}
FETCHED = [
    "model_index.json",
    "tokenizer/merges.txt",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
]


@pytest.fixture
def client(server, tmp_path):
    """Runs code with the hub's client in a new interpreter; returns what it printed, and keeps its log as `run.log`."""

    def run(code: str, **environment: str) -> str:
        prelude = (
            "import logging, sys\nfrom pathlib import Path\nlogging.basicConfig(level=logging.INFO)\n"
            "from blemish.errors import UserError\nfrom blemish.sources import hub\n"
            "from blemish.sources.settings import HPS, Images, Model, Repository\n"
            "hub.WAITS = (0, 0, 0)\n"
            "import huggingface_hub.utils._http as http\nhttp.time.sleep = lambda _: None\n"
        )
        body = "".join(f"    {line}\n" for line in code.strip().splitlines())
        script = f"{prelude}try:\n{body}except UserError as error:\n    print('UserError:', error)\n"
        settings = {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        run.log = done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def model(server):
    server.files.update({f"org/model/{name}": content for name, content in PIPELINE.items()})


FETCH = "hub.fetch_model(Model(repo='org/model', revision='main'), Path('out'))"
READ = """
with hub.open_file(Repository(repo='org/data', revision='main'), 'data/a.bin') as file:
    print(len(file.read(70_000)), len(file.read()), file.read(10) == b'')
    file.seek(1000)
    print(file.read(4) == bytes(range(232, 236)))
"""
PNG = encode_image(np.zeros((4, 4, 3), np.uint8))
DATA = bytes(range(256)) * 400


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_model_is_fetched_without_pickles_and_copies(client, model, server, tmp_path):
    assert client(FETCH) == ""
    assert files_below(tmp_path / "out") == FETCHED
    weights = tmp_path / "out" / "unet" / "diffusion_pytorch_model.safetensors"
    assert weights.read_bytes() == PIPELINE["unet/diffusion_pytorch_model.safetensors"]
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    fetched = {path for method, path, _, _ in server.requests if method == "GET" and "/resolve/" in path}
    assert not any(path.endswith((".bin", ".ckpt", ".fp16.safetensors")) for path in fetched)


def test_offline_the_cache_in_hf_home_is_used(client, model, server, tmp_path):
    sentence = client(FETCH, HF_HUB_OFFLINE="1")
    assert "UserError: org/model at revision main is not in the cache, and HF_HUB_OFFLINE is set: run" in sentence
    assert not (tmp_path / "out").exists()
    client(FETCH)
    server.requests.clear()
    assert client(FETCH.replace("out", "again"), HF_HUB_OFFLINE="1") == ""
    assert files_below(tmp_path / "again") == FETCHED and server.requests == []


def test_a_gated_model_wants_the_token(client, model, server, tmp_path):
    server.token = "hf_right"
    assert (
        "is gated and answers 401: its licence is not accepted, or the token is missing or wrong: accept its terms on "
        "its page and set HF_TOKEN" in client(FETCH)
    )
    assert "set HF_TOKEN" in client(FETCH, HF_TOKEN="hf_wrong")
    assert client(FETCH, HF_TOKEN="hf_right") == ""
    assert files_below(tmp_path / "out") == FETCHED


@pytest.mark.parametrize(
    ("repo", "revision", "sentence"),
    [
        ("org/none", "main", "answers 404: it is not there, or not for you: check `repo`"),
        ("org/model", "v9", "answers 404: it does not have this revision"),
    ],
)
def test_wrong_names_are_said(client, model, repo, revision, sentence):
    assert sentence in client(f"hub.fetch_model(Model(repo='{repo}', revision='{revision}'), Path('out'))")


def test_a_data_set_is_listed_and_read_in_ranges(client, server):
    server.files.update({"datasets/org/data/data/a.bin": DATA, "datasets/org/data/README.md": b"hi"})
    assert client("print(hub.list_files(Repository(repo='org/data'), 'data/*.bin'))") == "['data/a.bin']"
    assert "holds nothing like data/*.tar" in client("hub.list_files(Repository(repo='org/data'), 'data/*.tar')")
    server.sent = 0
    assert client(READ).split() == ["70000", str(len(DATA) - 70_000), "True", "True"]
    assert server.sent == len(DATA) + 4
    assert "UserError" in client(READ, HF_HUB_OFFLINE="1")


def test_reading_goes_on_after_faults(client, server):
    server.files["datasets/org/data/data/a.bin"] = DATA
    server.faults = [503, "cut", (429, {"Retry-After": "1"}), ("lie", 10), 500, "short", "cut"]
    assert client(READ).split() == ["70000", str(len(DATA) - 70_000), "True", "True"]
    assert server.faults == []


def test_reading_gives_up_with_a_sentence(client, server):
    server.files["datasets/org/data/data/a.bin"] = DATA
    server.faults = [503] * 500
    assert "failed 4 times in a row at byte 0" in client(READ)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_range_says_what_to_do(client, server, status):
    server.files["datasets/org/data/data/a.bin"] = DATA
    server.faults = [status]
    assert "accept its terms on its page and set HF_TOKEN" in client(READ)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (403, "answers 403 Forbidden: the token gives no access: accept its terms on its page and set HF_TOKEN"),
        (404, "answers 404 Not Found: a file is missing there: check `repo` and `revision` in the config"),
        (503, "answers 503 Service Unavailable: start again when the network or the hub is back"),
    ],
)
@pytest.mark.parametrize("code", [FETCH, "hub.list_files(Repository(repo='org/model'), '*')"])
def test_the_hubs_answer_is_said(client, model, server, status, sentence, code):
    server.api_faults = [status] * 50
    assert sentence in client(code)


def test_a_hub_that_is_not_there_is_said(client, server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    sentence = "org/model at revision main cannot be reached, as the connection is refused: start again when"
    assert sentence in client(FETCH, HF_ENDPOINT=address)
    assert "cannot be reached, as TLS fails (" in client(FETCH, HF_ENDPOINT=server.url.replace("http:", "https:"))


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate")
def test_a_certificate_that_is_not_trusted_is_said_at_once(client, server, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for code in (FETCH, READ):
        sentence = client(code, HF_ENDPOINT=server.url.replace("http:", "https:"))
        assert "cannot be reached, as its certificate is not trusted (" in sentence and "self-signed" in sentence


def test_a_hub_that_does_not_answer_is_said():
    data = Repository(repo="org/data")
    with pytest.raises(UserError, match="cannot be reached, as it does not answer in time: "), hub._explained(data):
        raise httpx2.ReadTimeout("") from TimeoutError()
    with pytest.raises(UserError, match="cannot be reached, as no machine of its name is"), hub._explained(data):
        raise httpx2.ConnectError("") from socket.gaierror()
    with pytest.raises(ZeroDivisionError), hub._explained(data):
        raise ZeroDivisionError


@pytest.mark.parametrize("status", [403, 503])
def test_signed_addresses_are_neither_said_nor_logged(client, server, status):
    server.files["datasets/org/data/data/a.bin"] = server.files["signed/a.bin"] = DATA
    signed = f"{server.url}/signed/a.bin?X-Signature=secret&Expires=1"
    server.faults = [(302, {"Location": signed}), status] * 50
    assert "UserError" in client(READ) and server.requests[-1][1] == "signed/a.bin"
    assert "secret" not in client(READ) + client.log
    server.faults = [(302, {"Location": signed}), "cut"] + [(302, {"Location": signed}), None] * 3
    warn = f"logging.getLogger('huggingface_hub.any').warning('Retrying %s', '{signed}')"
    assert client(f"{READ}\n{warn}").split() == ["70000", str(len(DATA) - 70_000), "True", "True"]
    assert f"Retrying {server.url}/signed/a.bin\n" in client.log and "secret" not in client.log


def test_the_commit_that_was_fetched_is_recorded_and_another_is_said(client, model, server, tmp_path):
    ledger, first, second = tmp_path / "out.commit.json", server.commit, "f" * 40
    unpinned = FETCH.replace("revision='main'", "revision=None")
    client(unpinned)
    assert json.loads(ledger.read_text()) == {"repo": "org/model", "commit": first}
    client(unpinned)
    assert "was fetched last" not in client.log
    server.commit = second
    client(unpinned)
    assert client.log.count(f"org/model is at commit {second} and was at {first} when it was fetched last: ") == 1
    assert json.loads(ledger.read_text()) == {"repo": "org/model", "commit": second}
    server.commit = first
    client(FETCH.replace("'main'", f"'{first}'"))
    assert "was fetched last" not in client.log and json.loads(ledger.read_text())["commit"] == first


def test_a_local_model_goes_the_same_way(tmp_path):
    for name, content in PIPELINE.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(content)
    fetch_model(Model(repo=f"file:{tmp_path}/mine"), tmp_path / "out")
    assert files_below(tmp_path / "out") == FETCHED
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "mine" / "vae").mkdir()
    (tmp_path / "mine" / "vae" / "config.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(UserError, match="leads out of"):
        fetch_model(Model(repo=f"file:{tmp_path}/mine"), tmp_path / "out2")
    assert not (tmp_path / "out2").exists()


def test_a_snapshot_of_the_hub_cache_is_a_local_model(tmp_path):
    snapshot = tmp_path / "models--org--model" / "snapshots" / "0123"
    blob = tmp_path / "models--org--model" / "blobs" / "abc"
    for folder in (snapshot, blob.parent):
        folder.mkdir(parents=True)
    blob.write_text("{}")
    (snapshot / "model_index.json").symlink_to("../../blobs/abc")
    fetch_model(Model(repo=f"file:{snapshot}"), tmp_path / "out")
    assert files_below(tmp_path / "out") == ["model_index.json"]


def test_a_folder_of_another_kind_is_named(tmp_path):
    with pytest.raises(UserError, match=r"the folder .*none, which the config names as a source, is missing"):
        fetch_model(Model(repo=f"file:{tmp_path}/none"), tmp_path / "out")
    with pytest.raises(UserError, match=r"lacks model_index\.json"):
        fetch_model(Model(repo=f"file:{tmp_path}"), tmp_path / "out")
    with pytest.raises(UserError, match="holds nothing like"):
        list_files(Repository(repo=f"file:{tmp_path}"), "data/*.tar")


def test_images_come_from_a_mirror_by_ranges(client, server, tmp_path):
    """One wanted image of a hundred: the other columns and row groups stay where they are."""
    stream = io.BytesIO()
    noise = np.random.default_rng(0)
    table = {
        "filename": [f"train/u{i}.png" for i in range(100)],
        "image": [{"bytes": PNG + noise.bytes(20_000), "path": None} for _ in range(100)],
        "caption": ["a face"] * 100,
        "artifact_map": [noise.bytes(20_000) for _ in range(100)],
    }
    pq.write_table(pa.table(table), stream, row_group_size=10)
    mirror = stream.getvalue()
    server.files["datasets/org/mirror/data/train-00000-of-00001.parquet"] = mirror
    server.faults = [503, None, "cut"]
    code = """
from blemish.sources.richhf_images import fetch_images
fetch_images(['u42'], 'train', Images(repo='org/mirror', missing_allowed=0), 4, 'out.parquet')
"""
    assert client(code) == ""
    assert read_ids(tmp_path / "out.parquet") == ["u42"]
    assert json.loads((tmp_path / "out.parquet.commit.json").read_text())["commit"] == server.commit
    assert server.sent < 0.1 * len(mirror)


def joined(ids, size=20_000):
    """A mirror of two rows a group, each image of so many bytes."""
    stream, noise = io.BytesIO(), np.random.default_rng(0)
    images = [{"bytes": PNG + noise.bytes(size), "path": None} for _ in ids]
    pq.write_table(pa.table({"filename": ids, "image": images, "caption": ["a"] * len(ids)}), stream, row_group_size=2)
    return stream.getvalue()


MIRRORS = """
from blemish.sources.richhf_images import fetch_images
mirrors = [Repository(repo='org/second')]
fetch_images(['u1'], 'train', Images(repo='org/first', missing_allowed=0, mirrors=mirrors), 4, 'out.parquet')
"""


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (None, "at revision main answers 404: it is not there"),
        ((403, {"X-Error-Code": "GatedRepo"}), "is gated and answers 403"),
        ("lacks", "lacks 1 of the 1 images"),
    ],
)
def test_a_second_mirror_steps_in(client, server, tmp_path, fault, reason):
    server.files["datasets/org/second/data/train-0.parquet"] = joined(["u0", "u1"])
    if fault:
        server.files["datasets/org/first/data/train-0.parquet"] = joined(["u0", "u2"])
    if fault not in (None, "lacks"):
        server.faults = [fault]
    assert client(MIRRORS) == ""
    assert read_ids(tmp_path / "out.parquet") == ["u1"]
    assert "the images of train come from org/second, because org/first " in client.log and reason in client.log
    record = json.loads((tmp_path / "out.parquet.commit.json").read_text())
    assert record == {"repo": "org/second", "commit": server.commit}


def test_where_no_mirror_can_be_reached_both_are_named(client, server, tmp_path):
    sentence = client(MIRRORS)
    assert re.fullmatch(
        r"UserError: org/first at .* answers 404: .*; then org/second at .* answers 404: .*\.", sentence
    )
    assert not (tmp_path / "out.parquet").exists()


def test_images_spread_over_too_many_rows_are_refused_before_they_are_read(client, server, tmp_path):
    """Every other row is wanted, so that every group of two would be read: the ids alone are, and they tell."""
    mirror = joined([f"u{i}" for i in range(100)])
    server.files["datasets/org/first/data/train-0.parquet"] = mirror
    code = """
from blemish.sources.richhf_images import fetch_images
source = Images(repo='org/first', missing_allowed=0).model_copy(update={'gigabytes_allowed': 0.0015})
fetch_images([f'u{i}' for i in range(0, 100, 2)], 'train', source, 4, 'out.parquet')
"""
    assert "UserError: org/first would be read over 0.0015 GB of, because the images lie spread over" in client(code)
    assert server.sent < 0.1 * len(mirror) and not (tmp_path / "out.parquet").exists()
    assert client(code.replace("0.0015", "0.0025")) == ""
    assert len(read_ids(tmp_path / "out.parquet")) == 50


def test_a_draw_survives_cuts_and_streams_each_tar_once(client, server, tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for i in range(30):
            png = io.BytesIO()
            Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(png, "PNG")
            for name, content in ((f"s{i}.json", b'{"short_caption": "x"}'), (f"s{i}.png", png.getvalue())):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    tar = stream.getvalue()
    server.files["datasets/org/hps/data/data-000000.tar"] = tar
    code = """
from blemish.sources import hps, webdataset
webdataset.REQUEST = 10240
source, folder = HPS(repo='org/hps', revision='main', tars=1, prompt='short_caption'), Path('FOLDER')
hps.choose(source, 5, 0, folder / 'tars.json')
hps.draw(source, folder / 'tars.json', 0, 0, 4, folder / '0.parquet', folder / '0.csv')
"""
    assert client(code.replace("FOLDER", "a")) == ""
    assert server.sent == len(tar)
    server.faults = [None, "cut", 429, None, "short", 503]
    assert client(code.replace("FOLDER", "b")) == ""
    assert server.faults == []
    for name in ("0.parquet", "0.csv", "tars.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    server.commit = "f" * 40
    assert client(code.replace("FOLDER", "b")) == ""
    assert f"org/hps is at commit {server.commit} and was at " in client.log

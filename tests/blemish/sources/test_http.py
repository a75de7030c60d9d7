"""Transfers against a real server that misbehaves: what arrives is whole and verified, or a sentence says why not."""

import hashlib
import multiprocessing
import random
import shutil
import time
from email.utils import formatdate

import pytest

from blemish.errors import UserError
from blemish.sources import http
from blemish.sources.fetch import fetch_file
from blemish.sources.settings import File

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def waits(monkeypatch):
    """The pauses that were made, without making them."""
    made = []
    monkeypatch.setattr(http.time, "sleep", made.append)
    return made


@pytest.fixture
def source(server):
    server.files["train.tfrecord"] = CONTENT
    return File(url=f"{server.url}/train.tfrecord", sha256=SHA256, bytes=len(CONTENT))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "sources" / "train.tfrecord"


def leftovers(out):
    return sorted(path.name for path in out.parent.iterdir() if not path.name.endswith(".lock"))


def test_a_whole_file_arrives(source, out, server):
    fetch_file(source, out)
    assert out.read_bytes() == CONTENT and leftovers(out) == [out.name]
    assert len(server.requests) == 1


def test_a_cut_transfer_goes_on_where_it_stopped(source, out, server, waits):
    server.faults = ["cut", "cut", "cut"]
    fetch_file(source, out)
    assert out.read_bytes() == CONTENT
    assert server.sent == len(CONTENT)  # no byte came twice
    assert [r[2] for r in server.requests] == [None, "bytes=150000-", "bytes=225000-", "bytes=262500-"]
    assert waits == [1, 1, 1]  # every attempt gained something


def test_a_killed_jobs_part_is_continued(source, out, server):
    out.parent.mkdir()
    (out.parent / ".train.tfrecord.part").write_bytes(CONTENT[:100_000])
    fetch_file(source, out)
    assert out.read_bytes() == CONTENT and server.sent == 200_000


def test_a_part_that_is_whole_already_is_taken(source, out, server):
    out.parent.mkdir()
    (out.parent / ".train.tfrecord.part").write_bytes(CONTENT)
    fetch_file(source, out)
    assert out.read_bytes() == CONTENT and server.sent == 0


@pytest.mark.parametrize("stale", [b"x" * 100_000, b"x" * len(CONTENT), b"x" * 400_000])
def test_a_part_of_another_version_is_thrown_away(source, out, stale, waits):
    out.parent.mkdir()
    (out.parent / ".train.tfrecord.part").write_bytes(stale)
    fetch_file(source, out)
    assert out.read_bytes() == CONTENT and leftovers(out) == [out.name]


def test_a_file_that_changes_meanwhile_is_fetched_from_its_start(source, out, server, waits, monkeypatch):
    """Without a hash only the server's ETag tells."""
    new = bytes(reversed(CONTENT))
    monkeypatch.setattr(http.time, "sleep", lambda _: server.files.update({"train.tfrecord": new}))
    server.faults = ["cut"]
    fetch_file(File(url=source.url), out)
    assert out.read_bytes() == new


def test_a_server_without_ranges_is_asked_for_all(source, out, server, waits):
    server.faults = ["cut", "no-range"]
    fetch_file(source, out)
    assert out.read_bytes() == CONTENT and server.sent == 450_000


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_faults_back_off(source, out, server, waits, status):
    server.faults = [status] * 4
    fetch_file(source, out)
    assert out.read_bytes() == CONTENT and waits == [1, 2, 4, 8]


def test_the_server_says_how_long_to_wait(source, out, server, waits):
    server.faults = [
        (429, {"Retry-After": "17"}),
        (503, {"Retry-After": formatdate(time.time() + 100, usegmt=True)}),
        (429, {"Retry-After": "soon"}),
    ]
    fetch_file(source, out)
    assert waits[0] == 17 and 90 < waits[1] <= 100 and waits[2] == 4


def test_patience_ends(source, out, server, waits):
    server.faults = ["cut"] + [503] * 20
    with pytest.raises(UserError, match=r"failed 8 times in a row .*503.* and 150,000 bytes are here"):
        fetch_file(source, out)
    assert len(waits) == 1 + 7 - 1 and not out.exists()
    assert leftovers(out) == [".train.tfrecord.part"]
    server.faults = []
    fetch_file(source, out)
    assert out.read_bytes() == CONTENT


def test_a_server_that_asks_for_an_hour_is_not_waited_for(source, out, server, waits):
    server.faults = [(429, {"Retry-After": "3600"})]
    with pytest.raises(UserError, match="start again when"):
        fetch_file(source, out)
    assert waits == []


def test_a_server_that_is_not_there(source, out, server, waits):
    with pytest.raises(UserError, match="failed 8 times"):
        fetch_file(File(url="http://127.0.0.1:9/train.tfrecord"), out)


def test_an_announced_size_that_never_comes(source, out, server, waits):
    server.faults = [("lie", 1000)] * 20
    with pytest.raises(UserError, match=r"(failed 8 times|is not the file)"):
        fetch_file(source.model_copy(update={"bytes": len(CONTENT) + 1000}), out)
    assert not out.exists()


@pytest.mark.parametrize("faults", [[403], [503] * 20, [(302, {"Location": "/other?X-Signature=secret"})] * 50, []])
def test_what_follows_an_address_is_neither_said_nor_logged(source, out, server, waits, caplog, capfd, faults):
    server.faults = faults
    url = source.url.replace("http://", "http://user:secret@")
    with pytest.raises(UserError) as raised:
        fetch_file(File(url=f"{url}?X-Signature=secret", bytes=1), out)
    assert "/train.tfrecord" in str(raised.value) or "/other" in str(raised.value)
    assert "secret" not in str(raised.value) + caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bytes": 300_001}, "it has 300,000 bytes and should have 300,001"),
        ({"sha256": "e380ad3e"}, f"its SHA-256 is {SHA256} and should be e380ad3e"),
    ],
)
def test_a_wrong_file_is_refused_and_kept_apart(source, out, change, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        fetch_file(source.model_copy(update=change), out)
    refused = out.with_name("train.tfrecord.refused")
    assert str(refused) in str(error.value) and refused.read_bytes() == CONTENT
    assert leftovers(out) == [refused.name]


def test_the_start_of_a_hash_is_enough(source, out):
    fetch_file(source.model_copy(update={"sha256": SHA256[:8]}), out)
    assert out.exists()


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "wants a login"), (403, "accept its licence"), (404, "missing there"), (410, "gone"), (418, "mirror")],
)
def test_refusals_say_what_to_do(source, out, server, waits, status, sentence):
    server.faults = [status]
    with pytest.raises(UserError, match=f"answered {status}.*{sentence}.*"):
        fetch_file(source, out)
    assert waits == [] and len(server.requests) == 1


@pytest.mark.parametrize("url", ["ftp://host/file", "train.tfrecord", "http://"])
def test_a_wrong_address_is_said_at_once(out, url, waits):
    with pytest.raises(UserError, match="is not an address"):
        http.download(url, out, verify=lambda path: None)
    assert waits == []


def test_a_full_disk_is_noticed_before_and_during(source, out, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(http.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match="is full: free space there"):
        fetch_file(source, out)
    monkeypatch.undo()
    part = out.parent / ".train.tfrecord.part"
    part.unlink()
    part.symlink_to("/dev/full")
    with pytest.raises(UserError, match="is full: free space there"):
        fetch_file(source, out)


def test_jobs_that_want_the_same_file_take_turns(source, out, server):
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=fetch_file, args=(source, out)) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert out.read_bytes() == CONTENT and leftovers(out) == [out.name]


def test_a_proxy_from_the_environment_is_used(source, out, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    server.files["http://mirror.example/train.tfrecord"] = CONTENT
    fetch_file(source.model_copy(update={"url": "http://mirror.example/train.tfrecord"}), out)
    assert out.read_bytes() == CONTENT

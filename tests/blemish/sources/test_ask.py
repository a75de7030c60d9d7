"""Every answer of a source that is asked for one file is one sentence, and nothing is downloaded.

What a hub answers is asked in tests/blemish/planning/test_preflight.py.
"""

import hashlib
import socket

import pytest

from blemish.errors import UserError
from blemish.sources import ask
from blemish.sources.settings import File, Images

CONTENT = b"records" * 10_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def source(server):
    server.files["train.tfrecord"] = CONTENT
    return File(url=f"{server.url}/train.tfrecord", sha256=SHA256, bytes=len(CONTENT))


def refusal(source):
    with pytest.raises(UserError) as caught:
        ask.file(source)
    return str(caught.value)


def test_a_file_that_is_there_is_not_downloaded(source, server):
    assert ask.file(source) == "70,000 bytes"
    assert [request[0] for request in server.requests] == ["HEAD"] and server.sent == 0


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "answers 401: it wants a login: get access there, or name another mirror in the config."),
        (403, "answers 403: it forbids the download: accept its licence there, or name another mirror in the config."),
        (404, "answers 404: the file is missing there: correct the address in the config, or name another mirror."),
        (410, "answers 410: the file is gone for good: name another mirror in the config."),
        (418, "answers 418: correct the address in the config, or name another mirror."),
    ],
)
def test_a_refusal_is_one_sentence_without_what_may_be_secret(source, server, status, sentence):
    server.answers["train.tfrecord"] = status
    signed = source.model_copy(update={"url": f"{source.url}?signature=secret"})
    assert refusal(signed) == f"{source.url} {sentence}"


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_not_a_missing_file(source, server, status):
    server.answers["train.tfrecord"] = status
    with pytest.raises(ask.Passing, match=f"answers {status}: the download waits"):
        ask.file(source)


def test_an_address_for_downloads_alone_is_asked_as_one(source, server, monkeypatch):
    monkeypatch.setattr("server.Handler.do_HEAD", lambda handler: handler.reply(403))
    assert ask.file(source) == "70,000 bytes"


def test_another_size_is_told(source):
    other = source.model_copy(update={"bytes": 7})
    assert "has 70,000 bytes and should have 7: name another mirror, or correct" in refusal(other)


def test_another_hash_is_told_where_the_server_or_the_name_tells_it(source, server):
    begins = f"{SHA256[:12]} and should be"
    server.answers["train.tfrecord"] = 200, {"X-Linked-ETag": f'"{SHA256}"'}
    assert begins in refusal(File(url=source.url, sha256="0" * 64))
    assert ask.file(File(url=source.url, sha256=SHA256[:8])).endswith("its hash is the expected one")
    server.files["a-e380ad3e.pth"] = CONTENT
    named = f"{server.url}/a-e380ad3e.pth"
    assert "begins with e380ad3e and should be 00000000" in refusal(File(url=named, sha256="00000000"))
    for expected in ("e380ad3e" + "0" * 56, "e380ad"):
        assert ask.file(File(url=named, sha256=expected)).endswith("its hash is the expected one")


def test_a_server_that_is_not_there_is_told(source, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(ask, "TIMEOUT", (1, 0.2))
        silence = refusal(File(url=f"http://{address}/a"))
    assert silence.startswith(
        f"http://{address}/a cannot be reached, as it does not answer in time: see to the network"
    )
    assert "as the connection is refused: see to" in refusal(File(url=f"http://{address}/a"))
    assert "cannot be reached, as" in refusal(File(url="http://no-such-host.invalid/a"))
    assert "not an address to download from" in refusal(File(url="http://[/a"))
    tls = refusal(source.model_copy(update={"url": source.url.replace("http:", "https:")}))
    assert "is not trusted" in tls


def test_a_local_file_is_looked_at(tmp_path):
    path = tmp_path / "a"
    assert "is missing: put it there" in refusal(File(url=f"file:{path}"))
    path.write_bytes(CONTENT)
    assert ask.file(File(url=f"file:{path}", bytes=len(CONTENT))) == "70,000 bytes"
    assert "should have 7" in refusal(File(url=f"file:{path}", bytes=7))


def test_the_first_mirror_that_answers_is_enough(tmp_path):
    (tmp_path / "second" / "data").mkdir(parents=True)
    (tmp_path / "second" / "data" / "train-0.parquet").touch()
    first, second = (f"file:{tmp_path / name}" for name in ("first", "second"))
    source = Images(repo=first, missing_allowed=0.0, mirrors=[{"repo": second}])
    assert ask.images(source, "train").startswith(f"1 files of train of {second}")
    with pytest.raises(UserError, match="first"):
        ask.images(source, "test")

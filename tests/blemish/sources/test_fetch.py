"""A local file is verified as a downloaded one is, and copied."""

import hashlib
import os
import random

import pytest

from blemish.errors import UserError
from blemish.sources.fetch import fetch_file
from blemish.sources.settings import File

CONTENT = random.Random(0).randbytes(3000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_local_file_goes_the_same_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "sources" / "train.tfrecord"
    (tmp_path / "mine.tfrecord").write_bytes(CONTENT)
    fetch_file(File(url="file:mine.tfrecord", sha256=SHA256, bytes=len(CONTENT)), out)
    assert out.read_bytes() == CONTENT and not os.path.samefile(out, tmp_path / "mine.tfrecord")
    for source, sentence in (
        (File(url="file:absent.tfrecord"), "the file absent.tfrecord, which the config names as a source, is missing"),
        (File(url="file:mine.tfrecord", sha256="000000"), "should be 000000; put the right one there"),
        (File(url="file:mine.tfrecord", bytes=3), "should have 3; put the right one there"),
    ):
        with pytest.raises(UserError, match=sentence):
            fetch_file(source, tmp_path / "other")
    assert not (tmp_path / "other").exists()

"""Tars are read as a stream, unharmed by whatever stands in them."""

import tarfile
from collections import Counter

import pytest
from tars import link, png, sample, write_tar

from blemish.errors import UserError
from blemish.sources import webdataset
from blemish.sources.webdataset import Skipped, read_samples


def samples_of(path) -> tuple[list, Counter]:
    skipped = Skipped(path.name)
    with open(path, "rb") as stream:
        return list(read_samples(stream, skipped)), skipped.counts


def test_hostile_members_harm_nothing(tmp_path):
    broken, good = sample("broken", 1), sample("good", 2)
    names = ["absolute", "upwards", "inner", "soft", "hard"]
    members = [
        ("/etc/absolute.png", png(3)),
        ("../upwards.png", png(3)),
        ("a/../../inner.png", png(3)),
        link("soft.png", "/etc/passwd", tarfile.SYMTYPE),
        link("hard.png", "../../etc/passwd", tarfile.LNKTYPE),
        link("null.png", "", tarfile.CHRTYPE),
        link("pipe.json", "", tarfile.FIFOTYPE),
        link("folder.png", "", tarfile.DIRTYPE),
        *(pair for name in names for pair in sample(name, 3)[:1]),
        ("notes.txt", b"hello"),
        ("alone.png", png(4)),
        *sample("plain", 6)[:1],
        ("badjson.json", b"{nope"),
        ("badjson.png", png(5)),
        ("list.json", b"[]"),
        ("list.png", png(5)),
        ("binary.json", b"\xff\xfe"),
        ("binary.png", png(5)),
        broken[0],
        ("broken.png", png(1)[:100]),
        *good,
        *good,
        ("wide.json", b"{}"),
        ("wide.jpeg", png(7)),
    ]
    path = tmp_path / "hps" / "data" / "a.tar"
    write_tar(path, members)
    before = sorted(tmp_path.rglob("*"))
    found, counts = samples_of(path)
    assert [s.key for s in found] == ["broken", "good", "wide"]
    assert counts == {
        "its path leads out": 3,
        "it is a link or a device": 4,
        "its JSON is missing": 1,
        "its image is missing": len(names) + 1,
        "its JSON cannot be read": 3,
        "it comes twice": 2,
    }
    assert sorted(tmp_path.rglob("*")) == before


def test_members_too_large_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "LARGEST", 20)
    write_tar(tmp_path / "a.tar", sample("s", 0))
    found, counts = samples_of(tmp_path / "a.tar")
    assert found == [] and counts["it is too large"] == 2


def test_lone_parts_do_not_pile_up(tmp_path):
    write_tar(tmp_path / "a.tar", [(f"{i}.png", b"x") for i in range(200)])
    found, counts = samples_of(tmp_path / "a.tar")
    assert found == [] and counts["its JSON is missing"] == 200


@pytest.mark.parametrize("where", ["head", "middle", "cut", "page"])
def test_damaged_tars_are_named(tmp_path, monkeypatch, where):
    monkeypatch.setattr(webdataset, "PADDING", 20_000)
    path = tmp_path / "a.tar"
    write_tar(path, [m for i in range(40) for m in sample(f"s{i}", i)])
    content = bytearray(path.read_bytes())
    if where == "head":
        content[100] ^= 255
    elif where == "middle":
        header = content.index(b"s10.json")
        content[header + 3] ^= 255
    elif where == "cut":
        content = content[: content.index(b"s10.png") + 600]
    else:
        content = bytearray(b"<html>sign in</html>" * 100)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tar is damaged.*fetch it again"):
        samples_of(path)

"""Drawing from WebDataset tars: repeatable and uniform; what cannot be read is replaced."""

import csv
import hashlib
import io
import json
import shutil
import tarfile
from collections import Counter

import numpy as np
import pytest
from checkout import ROOT
from PIL import Image
from tars import draw, png, sample, write_tar

from blemish.data.records import read_ids, read_records
from blemish.errors import UserError
from blemish.sources import hps
from blemish.sources.settings import HPS


@pytest.fixture
def source(tmp_path):
    """Four tars of 30 samples."""
    for t in range(4):
        members = [m for i in range(30) for m in sample(f"s{t}_{i:02d}", 100 * t + i)]
        write_tar(tmp_path / "hps" / "data" / f"data-00000{t}.tar", members)
    return HPS(repo=f"file:{tmp_path}/hps", revision="main", tars=3, prompt="short_caption")


def drawn(source, folder, number=40, seed=0, shards=2, size=8, between=None):
    pool = [folder / f"{i}.parquet" for i in range(shards)]
    draw(source, number, seed, size, pool, folder / "ledger.csv", between)
    with open(folder / "ledger.csv", newline="") as file:
        return pool, list(csv.DictReader(file))


def test_the_ledger_names_every_image(source, tmp_path):
    pool, rows = drawn(source, tmp_path / "a")
    assert len(rows) == 40 and sorted(read_ids(pool)) == sorted(row["id"] for row in rows)
    assert sorted(Counter(row["tar"] for row in rows).values()) == [13, 13, 14]
    records = {record.id: record for record in read_records(pool)}
    for row in rows:
        with tarfile.open(tmp_path / "hps" / row["tar"]) as archive:
            content = archive.extractfile(row["member"]).read()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert (row["width"], row["height"]) == ("12", "8")
        record = records[row["id"]]
        original = np.array(Image.open(io.BytesIO(content)))
        np.testing.assert_array_equal(record.image, original[:, 2:10])
        assert record.prompt == "short " + row["member"].removesuffix(".png")
        assert record.source == f"hps:{row['tar']}/{row['member']}" and record.mask is None
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["0.parquet", "1.parquet", "ledger.csv"]


def test_one_seed_draws_the_same_and_another_others(source, tmp_path):
    (pool, rows), (again_pool, again) = drawn(source, tmp_path / "a"), drawn(source, tmp_path / "b")
    assert rows == again
    assert [p.read_bytes() for p in pool] == [p.read_bytes() for p in again_pool]
    _, others = drawn(source, tmp_path / "c", seed=1)
    assert {row["id"] for row in others} != {row["id"] for row in rows}


def test_every_sample_is_as_likely_as_any_other(tmp_path):
    """100 draws of 6 from 30: each is expected 20 times; 4.5 standard deviations are 18."""
    members = [m for i in range(30) for m in sample(f"s{i}", i)]
    write_tar(tmp_path / "hps" / "data" / "a.tar", members)
    source = HPS(repo=f"file:{tmp_path}/hps", tars=1, prompt="short_caption")
    counts = Counter()
    for seed in range(100):
        _, rows = drawn(source, tmp_path / "a", number=6, seed=seed, shards=1)
        counts.update(row["member"] for row in rows)
    assert len(counts) == 30 and max(abs(count - 20) for count in counts.values()) < 18


def test_the_order_in_the_tar_does_not_matter(tmp_path):
    samples = [sample(f"s{i}", i) for i in range(30)]
    ids = []
    for name, order in (("x", samples), ("y", samples[::-1])):
        write_tar(tmp_path / name / "data" / "a.tar", [m for pair in order for m in pair])
        source = HPS(repo=f"file:{tmp_path}/{name}", tars=1, prompt="short_caption")
        ids.append([row["id"] for row in drawn(source, tmp_path / "out" / name, number=7)[1]])
    assert ids[0] == ids[1]


def test_the_prompt_is_the_configs(source, tmp_path):
    pool, _ = drawn(source.model_copy(update={"prompt": "original_prompt"}), tmp_path / "a")
    assert all(record.prompt.startswith("long ") for record in read_records(pool))


def test_a_tar_that_failed_is_drawn_alone(source, tmp_path, monkeypatch):
    """Whatever it left, and in whatever order the tars are drawn, the pool is the same to the byte."""
    pool, _ = drawn(source, tmp_path / "whole")
    between, size = tmp_path / "sources", 8
    hps.choose(source, 40, 0, between / "tars.json")
    opened, open_file = [], hps.hub.open_file

    def watched(source, name):
        opened.append(name)
        if len(opened) == 2:
            (between / ".1.parquet.images/left").write_bytes(b"of a job that was killed")
            raise KeyboardInterrupt
        return open_file(source, name)

    monkeypatch.setattr(hps.hub, "open_file", watched)
    hps.draw(source, between / "tars.json", 2, 0, size, between / "2.parquet", between / "2.csv")
    with monkeypatch.context() as killed:
        killed.setattr(hps.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            hps.draw(source, between / "tars.json", 1, 0, size, between / "1.parquet", between / "1.csv")
    left = {".1.parquet.images", "2.csv", "2.parquet", "tars.json"}
    assert {path.name for path in between.iterdir()} == left
    again, _ = drawn(source, tmp_path / "a", between=between)
    tars = [tar for tar, _ in json.loads((between / "tars.json").read_text())["tars"]]
    assert opened == [tars[2], tars[1], tars[0], tars[1]]
    assert not (between / ".1.parquet.images").exists()
    for one, other in zip([*pool, tmp_path / "whole/ledger.csv"], [*again, tmp_path / "a/ledger.csv"], strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_other_parts_need_no_tar_again(source, tmp_path):
    whole, rows = drawn(source, tmp_path / "a", between=tmp_path / "sources")
    shutil.rmtree(tmp_path / "hps")
    pool, again = drawn(source, tmp_path / "b", shards=1, between=tmp_path / "sources")
    assert again == rows and read_ids(pool) == [row["id"] for row in rows]
    assert sorted(read_ids(pool)) == sorted(read_ids(whole))


def test_all_tars_are_read_at_the_commit_that_was_chosen(source, tmp_path, monkeypatch):
    monkeypatch.setattr(hps.hub, "pin", lambda source: source.model_copy(update={"revision": "c0ffee"}))
    hps.choose(source, 40, 0, tmp_path / "tars.json")
    monkeypatch.undo()
    read, open_file = [], hps.hub.open_file
    monkeypatch.setattr(
        hps.hub, "open_file", lambda source, name: read.append(source.revision) or open_file(source, name)
    )
    for i in range(3):
        hps.draw(source, tmp_path / "tars.json", i, 0, 8, tmp_path / f"{i}.parquet", tmp_path / f"{i}.csv")
    assert read == 3 * ["c0ffee"]


def test_the_ledger_says_what_a_samples_json_says_of_its_source(tmp_path):
    said = ["DALL-E 3", None, "=1+1", "a,\nb", 3, ""]
    members = []
    for i, source in enumerate(said):
        about = {"short_caption": "x"} | ({} if source is None else {"source": source})
        members += [(f"s{i}.json", json.dumps(about).encode()), (f"s{i}.png", png(i))]
    write_tar(tmp_path / "hps" / "data" / "a.tar", members)
    source = HPS(repo=f"file:{tmp_path}/hps", tars=1, prompt="short_caption")
    _, rows = drawn(source, tmp_path / "out", number=6)
    assert {row["member"]: row["source"] for row in rows} == {
        f"s{i}.png": text for i, text in enumerate(["DALL-E 3", "", "'=1+1", "a, b", "3", ""])
    }


@pytest.mark.parametrize(
    ("tars", "number", "seed", "digest"),
    [(2, 64, 0, "52e75a0b9e00b52c"), (3, 31, 7, "3e573118be05bce7")],
)
def test_a_seed_draws_from_the_mini_world_what_it_always_drew(tmp_path, tars, number, seed, digest):
    """The ledger is that of a draw by one job for all tars but for the column `source`; ids are hashes of images."""
    source = HPS(repo=f"file:{ROOT}/resources/mini/hps", tars=tars, prompt="short_caption")
    pool, rows = drawn(source, tmp_path / "a", number, seed, shards=1, size=16)
    assert {row.pop("source") for row in rows} == {"mini world"}
    assert read_ids(pool) == [row["id"] for row in rows]
    ledger = "".join(",".join(row.values()) + "\n" for row in rows)
    assert hashlib.sha256(ledger.encode()).hexdigest()[:16] == digest


def test_broken_and_repeated_images_are_replaced(tmp_path):
    members = [m for i in range(8) for m in sample(f"s{i}", 5)]
    members += [m for i in range(5) for m in sample(f"t{i}", 10 + i)]
    write_tar(tmp_path / "hps" / "data" / "a.tar", members)
    source = HPS(repo=f"file:{tmp_path}/hps", tars=1, prompt="short_caption")
    _, rows = drawn(source, tmp_path / "out", number=6)
    assert len({row["sha256"] for row in rows}) == 6


def test_samples_that_cannot_be_read_are_not_drawn(tmp_path):
    broken, good = sample("broken", 1), sample("good", 2)
    members = [broken[0], ("broken.png", png(1)[:100]), *good, *good, ("wide.json", b"{}"), ("wide.jpeg", png(7))]
    write_tar(tmp_path / "hps" / "data" / "a.tar", members)
    source = HPS(repo=f"file:{tmp_path}/hps", tars=1, prompt="short_caption")
    _, rows = drawn(source, tmp_path / "out", number=1)
    assert [row["member"] for row in rows] == ["good.png"]
    with pytest.raises(UserError, match=r"holds 1 usable images and 2 are to be drawn: raise sources\.hps\.tars"):
        drawn(source, tmp_path / "more", number=2)


def test_wishes_that_cannot_be_met(source, tmp_path):
    with pytest.raises(UserError, match=r"has 4 tars, and sources\.hps\.tars asks for 5"):
        drawn(source.model_copy(update={"tars": 5}), tmp_path / "a")
    with pytest.raises(UserError, match="holds 30 usable images and 34 are to be drawn"):
        drawn(source, tmp_path / "a", number=100)
    with pytest.raises(UserError, match="holds 0 usable images"):
        drawn(source.model_copy(update={"prompt": "long_caption"}), tmp_path / "a")

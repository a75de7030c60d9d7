"""Input that means harm: it is never run, never leads out of its folder, never becomes a formula or a pattern."""

import csv
import io
import json
import os
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from paper import labels
from PIL import Image
from tars import draw

from blemish.corruption.diffusion import Diffusion
from blemish.corruption.latents import Latents
from blemish.data.records import clean, is_id, read_ids, read_records
from blemish.data.tfrecords import write_examples
from blemish.detection import checkpoints
from blemish.errors import UserError
from blemish.labels.binarize import SCORES, label_split
from blemish.sources import hps, hub
from blemish.sources.richhf_images import fetch_images
from blemish.sources.settings import HPS, Images, Model


class Harm:
    """Unpickled, it makes a file: the proof that something was run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def harm(tmp_path):
    witness = tmp_path / "harm-was-done"
    content = pickle.dumps({"state_dict": Harm(witness)})
    yield content, Harm(witness)
    assert not witness.exists()


def test_the_harm_is_real(tmp_path):
    pickle.loads(pickle.dumps(Harm(tmp_path / "done"))).close()
    assert (tmp_path / "done").exists()


# Pickles in place of weights


def test_a_pickle_as_a_detectors_weights(harm, tmp_path):
    content, object_ = harm
    torch.save({"state_dict": {"w": torch.zeros(2)}, "meta": object_}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(content)
    torch.save({"state_dict": {"w": object_}}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("zip.pth", "bare.pth", "old.pth"):
        with pytest.raises(UserError, match="holds more than weights"):
            checkpoints.read(tmp_path / name)


def test_a_pickle_as_an_inversion_shard(harm, tmp_path):
    (tmp_path / "5.safetensors").write_bytes(harm[0])
    with pytest.raises(UserError, match="not an inversion shard"):
        Latents(tmp_path / "5.safetensors")


def test_a_pickle_among_a_trainings_checkpoints(harm, tmp_path):
    from blemish.detection.train import _forget_damaged, _reached

    torch.save({"state_dict": {"w": torch.zeros(2)}, "meta": harm[1]}, tmp_path / "iter_3.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_3.pth"))
    _forget_damaged(tmp_path)
    assert _reached(tmp_path) == 0 and not (tmp_path / "iter_3.pth").exists()


@pytest.fixture
def model(tmp_path):
    """A folder like a pipeline's, with pickles wherever a library might look for weights."""

    def make(content):
        folder = tmp_path / "model"
        for name in ("vae", "unet", "text_encoder"):
            (folder / name).mkdir(parents=True)
            (folder / name / "config.json").write_text("{}")
            for file in ("diffusion_pytorch_model.bin", "pytorch_model.bin", "model.ckpt"):
                (folder / name / file).write_bytes(content)
        (folder / "model_index.json").write_text("{}")
        return folder

    return make


def test_pickles_in_a_diffusion_model_stay_where_they_are(harm, model, tmp_path):
    folder = model(harm[0])
    with pytest.raises(UserError, match=r"holds no \.safetensors file"):
        Diffusion.load(folder)
    hub.fetch_model(Model(repo=f"file:{folder}"), tmp_path / "fetched")
    assert {path.suffix for path in (tmp_path / "fetched").rglob("*") if path.is_file()} == {".json"}


def test_pickles_named_safetensors_in_a_diffusion_model(harm, model):
    folder = model(harm[0])
    for name, file in (
        ("vae", "diffusion_pytorch_model"),
        ("unet", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        (folder / name / f"{file}.safetensors").write_bytes(harm[0])
    with pytest.raises(UserError, match=r"vae is damaged or of another kind of model"):
        Diffusion.load(folder)


def test_a_model_whose_links_lead_out(tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "model/unet").mkdir(parents=True)
    os.symlink(tmp_path / "secret.json", tmp_path / "model/unet/config.json")
    with pytest.raises(UserError, match="is a link that leads out of"):
        hub.fetch_model(Model(repo=f"file:{tmp_path}/model"), tmp_path / "fetched")


# Archives, names and captions

PNG = io.BytesIO()
Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(PNG, "PNG")


def picture(i):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (i, 9, 9)).save(buffer, "PNG")
    return buffer.getvalue()


HARMFUL_MEMBERS = {
    "/etc/absolute": {},
    "../up": {},
    "a/../../up": {},
    "symbolic": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "hard": {"type": tarfile.LNKTYPE, "linkname": "good"},
    "character-device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
    "block-device": {"type": tarfile.BLKTYPE},
    "pipe": {"type": tarfile.FIFOTYPE},
    "new\nline": {},
    "escape\x1b[31m": {},
    "halved\udcff": {},
    "bidi\u202e": {},
}
STRANGE_MEMBERS = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "$(touch harm)",
    "`x`",
    "{pool}",
    "a;b",
    "<script>",
    "a b",
]
CAPTIONS = [
    '=HYPERLINK("http://x")',
    "{wildcards.pool} {pool}",
    "<script>alert(1)</script>",
    "$(touch harm) `touch harm`; rm -rf .",
    "\ud800 half a character",
    "\x00\x1b[31m control",
    ["a", "list"],
    {"a": "dict"},
    7,
    None,
    "x" * 100_000,
]


def tar_of(folder, members):
    (folder / "hps/data").mkdir(parents=True)
    with tarfile.open(folder / "hps/data/data-000000.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, changes in members:
            member = tarfile.TarInfo(name)
            for key, value in changes.items():
                setattr(member, key, value)
            member.size = 0 if "type" in changes else len(content)
            archive.addfile(member, io.BytesIO(content))
    return HPS(repo=f"file:{folder}/hps", tars=1, prompt="short_caption")


def pairs(name, content, caption, changes):
    about = json.dumps({"short_caption": caption}).encode()
    return [(f"{name}.json", about, {}), (f"{name}.png", content, changes)]


def test_what_a_tar_must_not_do(tmp_path, caplog, monkeypatch):
    members = []
    for i, (name, changes) in enumerate(HARMFUL_MEMBERS.items()):
        members += pairs(name, picture(i), "harmful", changes)
    for i, name in enumerate(STRANGE_MEMBERS):
        members += pairs(name, picture(100 + i), "strange", {})
    for i, caption in enumerate(CAPTIONS):
        members += pairs(f"good{i}", picture(200 + i), caption, {})
    members += [("bomb.json", b"[" * 100_000, {}), ("bomb.png", picture(99), {})]
    monkeypatch.setattr(hps, "_spare", lambda _: 50)
    monkeypatch.chdir(tmp_path)
    source, drawn = tar_of(tmp_path, members), len(STRANGE_MEMBERS) + len(CAPTIONS)
    before = set(tmp_path.rglob("*"))
    (tmp_path / "out").mkdir()
    draw(source, drawn, 0, 16, [tmp_path / "out/0.parquet"], tmp_path / "out/ledger.csv")
    assert {path.name for path in set(tmp_path.rglob("*")) - before} == {"out", "0.parquet", "ledger.csv"}
    found = list(read_records(tmp_path / "out/0.parquet"))
    assert len(found) == drawn and "harmful" not in {record.prompt for record in found}
    assert all(is_id(record.id) and record.id.startswith("data-000000-") for record in found)
    with open(tmp_path / "out/ledger.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == drawn
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@\t\r")]
    for reason in (
        "it is a link or a device",
        "its path leads out",
        "its name holds control",
        "its JSON cannot be read",
    ):
        assert reason in caplog.text


def test_a_tar_whose_name_is_a_formula(tmp_path):
    source = tar_of(tmp_path, pairs("good", picture(1), "x", {}))
    (tmp_path / "hps/data/data-000000.tar").rename(tmp_path / "hps/data/=1+1.tar")
    with pytest.raises(UserError, match="ids begin with a tar's name"):
        draw(source, 1, 0, 16, [tmp_path / "0.parquet"], tmp_path / "ledger.csv")


HARMFUL_NAMES = [
    "../../etc/passwd ",
    "..",
    "",
    "/",
    "a b",
    "=1+1",
    "-1",
    "@x",
    "$(x)",
    "{shard}",
    "a;b",
    "<b>",
    "a\x00",
    "x" * 300,
]
HARMLESS_NAMES = ["train/../../up.png", "/etc/passwd", "0001b9cd-0d2a.png"]


def test_names_in_richhf(tmp_path):
    names = [*HARMFUL_NAMES, *HARMLESS_NAMES]
    scores = {score: [0.5] for score in SCORES}
    examples = [{"filename": name.encode(), "artifact_map": picture(0), **scores} for name in names]
    write_examples(tmp_path / "train.tfrecord", examples)
    policy = labels(scores="ignore", unreadable_allowed=0.9)
    files = [tmp_path / name for name in ("labels.parquet", "audit.csv", "summary.json")]
    label_split([tmp_path / "train.tfrecord"], "train", policy, *files)
    assert read_ids(files[0]) == ["up", "passwd", "0001b9cd-0d2a"]
    with open(files[1], newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(names)
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@\t\r")]
    summary = json.loads(files[2].read_text())
    assert summary["reasons"]["dropped"] == {"unusable_name": len(HARMFUL_NAMES)}
    assert summary["samples"] == len(names)


def test_captions_of_a_mirror(tmp_path):
    texts = [caption for caption in CAPTIONS if isinstance(caption, str) and caption.isprintable()]
    ids = [f"u{i}" for i in range(len(texts))]
    (tmp_path / "data").mkdir()
    images = [{"bytes": picture(i), "path": "../../x"} for i in range(len(ids))]
    table = {"filename": [f"../{name}.png" for name in ids], "image": images, "caption": texts}
    pq.write_table(pa.table(table), tmp_path / "data/train-0.parquet")
    fetch_images(ids, "train", Images(repo=f"file:{tmp_path}", missing_allowed=0), 16, tmp_path / "out.parquet")
    assert [record.prompt for record in read_records(tmp_path / "out.parquet")] == texts
    paths = pq.read_table(tmp_path / "out.parquet").column("image").combine_chunks().field("path").to_pylist()
    assert paths == [f"{name}.png" for name in ids]


@pytest.mark.parametrize(
    "columns",
    [
        {"filename": [1, 2], "image": [b"a", b"b"], "caption": ["a", "b"]},
        {"filename": ["u0.png", None], "image": ["text", "text"], "caption": ["a", None]},
        {"filename": ["u0.png", "u1.png"], "image": [1.5, 2.5], "caption": [1, 2]},
        {"filename": [["u0"], ["u1"]], "image": [{"bytes": None}, {"bytes": None}], "caption": ["a", "b"]},
    ],
)
def test_a_mirror_with_columns_of_other_types(tmp_path, columns):
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "data/train-0.parquet")
    source = Images(repo=f"file:{tmp_path}", missing_allowed=0.4)
    with pytest.raises(UserError, match=r"lacks|damaged"):
        fetch_images(["u0", "u1"], "train", source, 16, tmp_path / "out.parquet")


def test_prompts_are_text_that_files_can_hold():
    for caption in CAPTIONS:
        text = clean(caption)
        text.encode()
        assert not [c for c in text if not c.isprintable() and c not in "\n\t"]


def test_no_caption_reaches_a_csv():
    """Of the CSVs with a row per image none has a prompt; the others hold numbers and the config's names."""
    from blemish.labels.binarize import COLUMNS

    assert "prompt" not in (*COLUMNS, *hps.LEDGER)

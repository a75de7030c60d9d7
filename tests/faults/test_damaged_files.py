"""Files cut off and with flipped bits at every edge of the graph: found and named, or without consequence."""

import json
import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch

from blemish.corruption.latents import Latents, save_latents
from blemish.data import tensors
from blemish.data.files import read_csv, read_json, read_table
from blemish.data.records import Record, join_masks, read_ids, read_records, write_records
from blemish.data.tfrecords import read_examples, write_examples
from blemish.detection import checkpoints
from blemish.detection.dataset import RecordsDataset
from blemish.errors import UserError

FLIPS = 150  # of single bits, for each kind of file
CUTS = 60


def records(n=5):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)
    return [Record(f"i{i}", pixels[i], pixels[i, :, :, 0] > 99, prompt=f"a face {i}") for i in range(n)]


def make_records(path):
    write_records(path, records())


def make_table(path):
    counts = [list(range(8))] * 3
    frame = pd.DataFrame({"id": ["a", "b", "c"], "tp": [1, 2, 3], "artifact": counts})
    frame.to_parquet(path, write_page_checksum=True)


def make_examples(path):
    write_examples(path, [{"filename": b"train/u.png", "artifact_map": bytes(50 + i), "s": [0.5]} for i in range(3)])


def make_latents(path):
    z = {n: torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(n)) for n in (0, 5)}
    save_latents(path, ["a", "b"], z, torch.zeros(2, 5056, dtype=torch.uint8), "identity", 12)


def make_weights(path):
    tensors.save(path, {"conv.weight": torch.arange(60.0).reshape(3, 20), "bn.count": torch.tensor(7)})


def make_checkpoint(path):
    torch.save({"state_dict": {"w": torch.arange(500.0)}, "meta": {"iter": 3}}, path)


def load_records(path):
    return [(r.id, r.image.tobytes(), r.mask.tobytes(), r.prompt) for r in read_records(path)]


def load_latents(path):
    file = Latents(path).verified()
    return [file.ids, file.identity, file.evaluations, *(file.at(n).tolist() for n in file.steps)]


def load_weights(path):
    return {name: tensor.tolist() for name, tensor in checkpoints.read(path).items()}


def load_checkpoint(path):
    if fault := checkpoints.fault(path):
        raise UserError(f"{path}: {fault}")
    return torch.load(path, weights_only=True)["state_dict"]["w"].tolist()


KINDS = {
    "records.parquet": (make_records, load_records),
    "per_image.parquet": (make_table, lambda path: read_table(path).to_json()),
    "train.tfrecord": (make_examples, lambda path: list(read_examples(path))),
    "5.safetensors": (make_latents, load_latents),
    "weights.safetensors": (make_weights, load_weights),
    "iter_3.pth": (make_checkpoint, load_checkpoint),
}


def outcome(load, path, whole):
    """named, harmless (what is read is the same), or unnoticed."""
    try:
        return "harmless" if load(path) == whole else "unnoticed"
    except UserError as error:
        assert path.name in str(error) and "\n" not in str(error)
        return "named"


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_named_or_harmless(tmp_path, kind):
    make, load = KINDS[kind]
    path = tmp_path / kind
    make(path)
    content, whole = path.read_bytes(), load(path)
    rng = random.Random(0)
    outcomes = []
    for _ in range(FLIPS):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        outcomes.append(outcome(load, path, whole))
    print(kind, {name: outcomes.count(name) for name in sorted(set(outcomes))})
    # Parquet's pages have checksums, its footer has none: 16 of 6,000 flips in files as small as these, none in 150.
    assert outcomes.count("unnoticed") == 0
    assert outcomes.count("named") > FLIPS / 3


def test_every_bit_of_a_checkpoints_directory_counts(tmp_path):
    """No checksum covers it: torch takes an entry's size and kind from there, and reads memory of nobody's."""
    make_checkpoint(path := tmp_path / "iter_3.pth")
    content, whole = path.read_bytes(), load_checkpoint(path)
    outcomes = []
    for at in range(content.index(b"PK\x01\x02"), len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            outcomes.append(outcome(load_checkpoint, path, whole))
    assert "unnoticed" not in outcomes and outcomes.count("named") > len(outcomes) / 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_is_named(tmp_path, kind):
    make, load = KINDS[kind]
    path = tmp_path / kind
    make(path)
    content, whole = path.read_bytes(), load(path)
    ends = {0} if kind == "train.tfrecord" else set()  # no record is a file of records
    if kind == "train.tfrecord":
        ends |= {offset for offset, _ in read_examples(path)}
    for length in sorted({0, 1, 7, *random.Random(0).choices(range(len(content)), k=CUTS)} - ends):
        path.write_bytes(content[:length])
        assert outcome(load, path, whole) == "named", length


METRICS = {"iou": 13.25, "images": 400}


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"iou": 1}', "{" * 5000, "\x00", '{"iou": NaN'])
def test_metrics_that_are_none(tmp_path, content):
    path = tmp_path / "metrics.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"metrics.json is damaged or of another kind .*\. Delete it and run again\.$"):
        read_json(path, METRICS)


@pytest.mark.parametrize("content", ["", "\n\n", "a,b\n1,2\n", "id,psnr\nx", 'id,ours\n"x', "id,ours\n1,2\n1,2,3,4\n"])
def test_tables_that_are_none(tmp_path, content):
    path = tmp_path / "strength.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=r"strength\.csv is damaged"):
        read_csv(path, ["id", "ours", "low"])


def test_what_is_missing_is_called_missing(tmp_path):
    for read in (read_json, read_csv, read_table, load_records):
        with pytest.raises(UserError, match=r"absent is missing: make it first\."):
            read(tmp_path / "absent")


@pytest.mark.parametrize("name", ["007", "1e5", "NA", "nan", "null", "True", "1.50", "-1", "inf"])
def test_ids_that_look_like_numbers_stay_text(tmp_path, name):
    (tmp_path / "strength.csv").write_text(f"id,psnr_inside\n{name},1.5\n")
    assert list(read_csv(tmp_path / "strength.csv")["id"]) == [name]


def test_files_of_another_kind_are_named(tmp_path):
    """Each reader gets the files of all the others."""
    for kind, (make, _) in KINDS.items():
        make(tmp_path / kind)
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    (tmp_path / "pickle.bin").write_bytes(pickle.dumps([1]))
    tried = 0
    for kind, (_, load) in KINDS.items():
        for path in tmp_path.iterdir():
            related = kind == "weights.safetensors" and path.suffix in (".safetensors", ".pth")
            if path.name != kind and not related and not (kind == "per_image.parquet" and path.suffix == ".parquet"):
                with pytest.raises(UserError, match=path.name):
                    load(path)
                tried += 1
    assert tried >= 35


# Masks


def with_masks(tmp_path, mask):
    write_records(tmp_path / "images.parquet", [Record("a", np.zeros((16, 16, 3), np.uint8), None)])
    write_records(tmp_path / "masks.parquet", [Record("a", None, mask)])
    return tmp_path / "images.parquet", tmp_path / "masks.parquet"


def test_a_mask_of_another_size_is_named(tmp_path):
    files = with_masks(tmp_path, np.zeros((8, 16), bool))
    with pytest.raises(UserError, match="the mask of a"):
        list(join_masks(*files))
    with pytest.raises(UserError, match="the mask of a"):
        RecordsDataset([files[0]], [files[1]])


@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full_masks_are_masks(tmp_path, value):
    files = with_masks(tmp_path, np.full((16, 16), value))
    assert [record.mask.mean() for record in join_masks(*files)] == [float(value)]
    assert RecordsDataset([files[0]], [files[1]]).pair(0)[1].mean() == float(value)


def test_a_mask_that_is_not_binary_is_cut_at_its_middle():
    from blemish.data.images import encode_png
    from blemish.data.records import decode_mask

    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (decode_mask(encode_png(grey)) == (grey > 127)).all()


def test_a_test_image_without_its_mask_is_named(tmp_path):
    from blemish.evaluation.evaluate import _usable

    for truth, sentence in ((None, "the record a lacks"), (np.zeros((2, 4), bool), "a and its mask are not of")):
        write_records(tmp_path / "test.parquet", [Record("a", np.zeros((4, 4, 3), np.uint8), truth)])
        with pytest.raises(UserError, match=sentence):
            list(_usable(tmp_path / "test.parquet"))


# Resuming


def test_a_damaged_checkpoint_is_passed_over(tmp_path, caplog):
    from blemish.detection.train import _forget_damaged, _reached

    for i in (3, 6):
        make_checkpoint(tmp_path / f"iter_{i}.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_6.pth"))
    assert _reached(tmp_path) == 6
    content = bytearray((tmp_path / "iter_6.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "iter_6.pth").write_bytes(content)
    _forget_damaged(tmp_path)
    assert _reached(tmp_path) == 3
    assert "iter_6.pth is damaged" in caplog.text
    (tmp_path / "iter_3.pth").write_bytes(b"")
    _forget_damaged(tmp_path)
    assert _reached(tmp_path) == 0


def test_a_part_of_a_shard_without_ids_is_named(tmp_path):
    make_table(tmp_path / "x.parquet")
    with pytest.raises(UserError, match="has no column image"):
        list(read_records(tmp_path / "x.parquet"))
    assert read_ids(tmp_path / "x.parquet") == ["a", "b", "c"]

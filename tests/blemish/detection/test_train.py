import csv
import json

import numpy as np
import pytest
import torch
from paper import training

from blemish.data.records import Record, write_records
from blemish.detection import checkpoints
from blemish.detection.dataset import ArrayDataset
from blemish.detection.launch import train_records
from blemish.detection.predict import probabilities
from blemish.detection.train import train
from blemish.errors import UserError


def chosen(seed=3, device="cpu", **changes):
    """How to train a tiny detector, with changes."""
    small = {"iterations": 6, "batch_size": 4, "lr": 3e-3, "warmup": 0.4, "checkpoint_interval": 2, "log_interval": 2}
    settings = training(**small | {"amp": None, "workers": 0} | changes)
    return {"settings": settings, "seed": seed, "device": device}


class Killed(Exception):
    pass


class Interrupted(ArrayDataset):
    """Dies at a position, like a job that is killed there."""

    def __init__(self, images, labels, last):
        super().__init__(images, labels)
        self.last = last

    def __getitem__(self, key):
        if key[2] > self.last:
            raise Killed
        return super().__getitem__(key)


def losses(out):
    with open(out / "loss.csv") as stream:
        return [(int(row["iteration"]), float(row["loss"]), float(row["lr"])) for row in csv.DictReader(stream)]


@pytest.mark.parametrize("name", ["swin", "convnext"])
def test_an_interrupted_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path, squares, tiny, name):
    whole, parts, state = tmp_path / "whole", tmp_path / "parts", tmp_path / "state"
    train(ArrayDataset(*squares), tiny[name], whole, state, **chosen())
    with pytest.raises(Killed):
        train(Interrupted(*squares, last=5 * 4), tiny[name], parts, state, **chosen())
    assert (state / "iter_4.pth").exists() and not (parts / "weights.safetensors").exists()
    train(Interrupted(*squares, last=999), tiny[name], parts, state, **chosen())
    a, b = (checkpoints.read(out / "weights.safetensors") for out in (whole, parts))
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    assert losses(whole) == losses(parts) and [i for i, _, _ in losses(whole)] == [1, 2, 3, 4, 5, 6]
    assert not state.exists()
    for out in (whole, parts):
        *_, last = sorted((out / "tensorboard").iterdir())
        assert last.name.startswith("events.out.tfevents") and last.stat().st_size > 200


def test_a_state_of_other_settings_or_data_is_not_gone_on_with(tmp_path, squares, tiny):
    state = tmp_path / "state"
    for changed in ({"lr": 1e-9}, {"seed": 4}):
        with pytest.raises(Killed):
            train(Interrupted(*squares, last=5 * 4), tiny["swin"], tmp_path, state, **chosen(**changed))
    train(ArrayDataset(*squares), tiny["swin"], tmp_path / "after", state, **chosen())
    train(ArrayDataset(*squares), tiny["swin"], tmp_path / "clean", tmp_path / "new", **chosen())
    assert losses(tmp_path / "after") == losses(tmp_path / "clean")


def test_seed_and_data_are_in_the_card_and_change_the_weights(tmp_path, squares, tiny):
    images, labels = squares
    train(ArrayDataset(images, labels), tiny["swin"], tmp_path / "a", tmp_path / "s", **chosen())
    train(ArrayDataset(images, labels), tiny["swin"], tmp_path / "b", tmp_path / "s", **chosen(seed=4))
    train(ArrayDataset(images, 1 - labels), tiny["swin"], tmp_path / "c", tmp_path / "s", **chosen())
    cards = [json.loads((tmp_path / name / "card.json").read_text()) for name in "abc"]
    assert [card["seed"] for card in cards] == [3, 4, 3]
    assert cards[0]["data"] == cards[1]["data"] != cards[2]["data"]
    assert cards[0]["images"] == 10 and cards[0]["iterations"] == 6
    assert cards[0]["loss"] == pytest.approx(losses(tmp_path / "a")[-1][1], rel=1e-4)
    assert set(cards[0]["versions"]) >= {"torch", "mmsegmentation", "mmengine"}
    assert losses(tmp_path / "a") != losses(tmp_path / "b")


def test_the_rate_rises_over_its_share_and_falls_to_zero(tmp_path, squares, tiny):
    train(ArrayDataset(*squares), tiny["swin"], tmp_path / "a", tmp_path / "s", **chosen(iterations=10))
    rates = [rate for _, _, rate in losses(tmp_path / "a")]
    assert rates[0] < 1e-5 and rates[:4] == sorted(rates[:4]) and max(rates) == rates[4] == pytest.approx(3e-3)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert np.allclose(np.diff(rates[4:]), -3e-3 / 6, rtol=0.2)
    train(ArrayDataset(*squares), tiny["swin"], tmp_path / "b", tmp_path / "s", **chosen(warmup=0.0))
    assert losses(tmp_path / "b")[0][2] == pytest.approx(3e-3)


@pytest.mark.parametrize("name", ["swin", "convnext"])
def test_a_detector_starts_from_other_classes_learns_and_finds_the_squares(tmp_path, squares, tiny, name):
    images, labels = squares
    many = ArrayDataset(images, labels * 3)
    train(many, tiny[name], tmp_path / "five", tmp_path / "s", classes=5, **chosen(iterations=40))
    init = tmp_path / "five" / "weights.safetensors"
    write_records(
        tmp_path / "r.parquet",
        (Record(f"{i}", a, b > 0) for i, (a, b) in enumerate(zip(*squares, strict=True))),
    )
    train_records(
        images=[str(tmp_path / "r.parquet")],
        masks=None,
        init=str(init),
        out=str(tmp_path / "two"),
        state=str(tmp_path / "s"),
        backbone=tiny[name],
        **chosen(iterations=40, warmup=0.1),
    )
    first, *_, last = [loss for _, loss, _ in losses(tmp_path / "two")]
    assert last < 0.75 * first
    weights = tmp_path / "two" / "weights.safetensors"
    records = [Record(f"{i}", image, None) for i, image in enumerate(images)]
    one, four = (
        list(probabilities(weights, tiny[name], iter(records), device="cpu", batch_size=size)) for size in (1, 4)
    )
    assert [id for id, _ in one] == [id for id, _ in four] == [str(i) for i in range(10)]
    for (_, p), (_, q), label in zip(one, four, labels, strict=True):
        assert p.shape == (32, 32) and p.dtype == np.float32 and p.min() >= 0 and p.max() <= 1
        np.testing.assert_allclose(p, q, atol=1e-5)
        assert p[label == 1].mean() > p[label == 0].mean() + 0.05


def test_what_cannot_be_met_is_said_before_anything_is_trained(tmp_path, squares, tiny):
    def attempt(init=None, **changes):
        train(ArrayDataset(*squares), tiny["swin"], tmp_path / "a", tmp_path / "s", init=init, **chosen(**changes))

    with pytest.raises(UserError, match="amp is 'bfloat16'"):
        attempt(amp="bfloat16", device="cpu")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="device is 'cuda', and this job sees 'cpu'"):
            attempt(device="cuda")
    with pytest.raises(UserError, match=r"none\.pth are missing"):
        attempt(init=tmp_path / "none.pth")


@pytest.mark.long
def test_two_processes_train_one_detector(tmp_path, squares, tiny):
    write_records(
        tmp_path / "r.parquet",
        (Record(f"{i}", a, b > 0) for i, (a, b) in enumerate(zip(*squares, strict=True))),
    )
    job = {
        "images": [str(tmp_path / "r.parquet")],
        "masks": None,
        "backbone": tiny["swin"],
        "state": str(tmp_path / "s"),
    }
    train_records(**job, out=str(tmp_path / "two"), gpus=2, **chosen())
    assert json.loads((tmp_path / "two" / "card.json").read_text())["processes"] == 2
    assert len(losses(tmp_path / "two")) == 6 and not (tmp_path / "s").exists()
    with pytest.raises(UserError, match="one of the 3 processes"):
        train_records(**job, out=str(tmp_path / "three"), gpus=3, **chosen())

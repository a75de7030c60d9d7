import csv
import json

import numpy as np
import pytest
import torch
from paper import training

from blemish.data.records import Record, write_records
from blemish.detection import checkpoints, models
from blemish.detection.dataset import ArrayDataset
from blemish.detection.launch import train_records
from blemish.detection.predict import probabilities
from blemish.detection.settings import Inference
from blemish.detection.train import optimisation, train
from blemish.errors import UserError

TRAINING = training(
    iterations=6,
    batch_size=4,
    lr=3e-3,
    warmup=0.4,
    checkpoint_interval=2,
    log_interval=2,
)
RUN = {"seed": 3, "device": "cpu"}


def changed(**values):
    return TRAINING.model_copy(update=values)


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
    train(ArrayDataset(*squares), tiny[name], TRAINING, whole, state, **RUN)
    with pytest.raises(Killed):
        train(Interrupted(*squares, last=5 * 4), tiny[name], TRAINING, parts, state, **RUN)
    assert (state / "iter_4.pth").exists() and not (parts / "weights.safetensors").exists()
    train(Interrupted(*squares, last=999), tiny[name], TRAINING, parts, state, **RUN)
    a, b = (checkpoints.read(out / "weights.safetensors") for out in (whole, parts))
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    assert losses(whole) == losses(parts) and [i for i, _, _ in losses(whole)] == [1, 2, 3, 4, 5, 6]
    assert not state.exists()
    for out in (whole, parts):
        *_, last = sorted((out / "tensorboard").iterdir())
        assert last.name.startswith("events.out.tfevents") and last.stat().st_size > 200


def test_a_state_of_other_settings_or_data_is_not_gone_on_with(tmp_path, squares, tiny):
    state = tmp_path / "state"
    for other, seed in ((changed(lr=1e-9), 3), (TRAINING, 4)):
        with pytest.raises(Killed):
            train(Interrupted(*squares, last=20), tiny["swin"], other, tmp_path, state, seed=seed, device="cpu")
    train(ArrayDataset(*squares), tiny["swin"], TRAINING, tmp_path / "after", state, **RUN)
    train(ArrayDataset(*squares), tiny["swin"], TRAINING, tmp_path / "clean", tmp_path / "new", **RUN)
    assert losses(tmp_path / "after") == losses(tmp_path / "clean")


def test_seed_and_data_are_in_the_card_and_change_the_weights(tmp_path, squares, tiny):
    images, labels = squares
    train(ArrayDataset(images, labels), tiny["swin"], TRAINING, tmp_path / "a", tmp_path / "s", **RUN)
    train(ArrayDataset(images, labels), tiny["swin"], TRAINING, tmp_path / "b", tmp_path / "s", seed=4, device="cpu")
    train(ArrayDataset(images, 1 - labels), tiny["swin"], TRAINING, tmp_path / "c", tmp_path / "s", **RUN)
    cards = [json.loads((tmp_path / name / "card.json").read_text()) for name in "abc"]
    assert [card["seed"] for card in cards] == [3, 4, 3]
    assert cards[0]["data"] == cards[1]["data"] != cards[2]["data"]
    assert cards[0]["images"] == 10 and cards[0]["iterations"] == 6
    assert cards[0]["loss"] == pytest.approx(losses(tmp_path / "a")[-1][1], rel=1e-4)
    assert set(cards[0]["versions"]) >= {"torch", "mmsegmentation", "mmengine"}
    assert losses(tmp_path / "a") != losses(tmp_path / "b")


def test_the_rate_rises_over_its_share_and_falls_to_zero(tmp_path, squares, tiny):
    train(ArrayDataset(*squares), tiny["swin"], changed(iterations=10), tmp_path / "a", tmp_path / "s", **RUN)
    rates = [rate for _, _, rate in losses(tmp_path / "a")]
    assert rates[0] < 1e-5 and rates[:4] == sorted(rates[:4]) and max(rates) == rates[4] == pytest.approx(3e-3)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert np.allclose(np.diff(rates[4:]), -3e-3 / 6, rtol=0.2)
    train(ArrayDataset(*squares), tiny["swin"], changed(warmup=0.0), tmp_path / "b", tmp_path / "s", **RUN)
    assert losses(tmp_path / "b")[0][2] == pytest.approx(3e-3)


def test_the_rate_falls_towards_an_end_beyond_the_training(tmp_path, squares, tiny):
    train(ArrayDataset(*squares), tiny["swin"], changed(decay=1000, warmup=0.0), tmp_path / "a", tmp_path / "s", **RUN)
    rates = [rate for _, _, rate in losses(tmp_path / "a")]
    assert rates == pytest.approx([3e-3 * (1 - i / 1000) for i in range(6)], rel=1e-4)


@pytest.mark.parametrize(("factor", "decayed"), [(1.0, 0.0), (10.0, 0.01)])
def test_the_heads_have_their_own_rate(tiny, factor, decayed):
    model = models.build(tiny["swin"])
    groups = optimisation(model, changed(head_lr=factor)).optimizer.param_groups
    rates = {id(group["params"][0]): (group["lr"], group["weight_decay"]) for group in groups}
    for name, parameter in model.named_parameters():
        rate, decay = rates[id(parameter)]
        head = name.startswith(("decode_head", "auxiliary_head"))
        assert rate == pytest.approx(3e-3 * (factor if head else 1)), name
        if head and ".bn." in name:
            assert decay == decayed


def test_rescaled_images_are_padded_to_one_size_that_the_loss_leaves_out(tmp_path, squares, tiny):
    seen = []

    class Watched(ArrayDataset):
        def __getitem__(self, key):
            item = super().__getitem__(key)
            seen.append(tuple(item["inputs"].shape[1:]))
            return item

    train(Watched(*squares), tiny["swin"], changed(rescale=(0.5, 1.5)), tmp_path / "a", tmp_path / "s", **RUN)
    assert len(set(seen)) > 3 and max(seen) == (32, 32) and min(seen) < (20, 20)
    assert all(np.isfinite(loss) for _, loss, _ in losses(tmp_path / "a"))
    assert json.loads((tmp_path / "a" / "card.json").read_text())["rescale"] == [0.5, 1.5]


@pytest.mark.parametrize("name", ["swin", "convnext"])
def test_a_detector_starts_from_other_classes_learns_and_finds_the_squares(tmp_path, squares, tiny, name):
    images, labels = squares
    many = ArrayDataset(images, labels * 3)
    train(many, tiny[name], changed(iterations=40), tmp_path / "five", tmp_path / "s", classes=5, **RUN)
    init = tmp_path / "five" / "weights.safetensors"
    write_records(
        tmp_path / "r.parquet",
        (Record(f"{i}", a, b > 0) for i, (a, b) in enumerate(zip(*squares, strict=True))),
    )
    longer = changed(iterations=40, warmup=0.1)
    train_records(
        [str(tmp_path / "r.parquet")], None, tiny[name], longer, tmp_path / "two", tmp_path / "s", init=init, **RUN
    )
    first, *_, last = [loss for _, loss, _ in losses(tmp_path / "two")]
    assert last < 0.75 * first
    weights = tmp_path / "two" / "weights.safetensors"
    records = [Record(f"{i}", image, None) for i, image in enumerate(images)]
    hows = [Inference(device="cpu", batch_size=size, amp=None) for size in (1, 4)]
    one, four = (list(probabilities(weights, tiny[name], iter(records), how)) for how in hows)
    assert [id for id, _ in one] == [id for id, _ in four] == [str(i) for i in range(10)]
    for (_, p), (_, q), label in zip(one, four, labels, strict=True):
        assert p.shape == (32, 32) and p.dtype == np.float32 and p.min() >= 0 and p.max() <= 1
        np.testing.assert_allclose(p, q, atol=1e-5)
        assert p[label == 1].mean() > p[label == 0].mean() + 0.05


def test_what_cannot_be_met_is_said_before_anything_is_trained(tmp_path, squares, tiny):
    def attempt(training=TRAINING, **changes):
        data = ArrayDataset(*squares)
        train(data, tiny["swin"], training, tmp_path / "a", tmp_path / "s", **RUN | changes)

    with pytest.raises(UserError, match="amp is 'bfloat16'"):
        attempt(changed(amp="bfloat16"))
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
    job = ([str(tmp_path / "r.parquet")], None, tiny["swin"], TRAINING)
    train_records(*job, tmp_path / "two", tmp_path / "s", gpus=2, **RUN)
    assert json.loads((tmp_path / "two" / "card.json").read_text())["processes"] == 2
    assert len(losses(tmp_path / "two")) == 6 and not (tmp_path / "s").exists()
    with pytest.raises(UserError, match="one of the 3 processes"):
        train_records(*job, tmp_path / "three", tmp_path / "s", gpus=3, **RUN)

"""A training step never makes the host wait for the device; see `tests/blemish/corruption/test_waiting.py`."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from paper import training
from torch.utils.data._utils.pin_memory import pin_memory

from blemish.detection import models
from blemish.detection.curves import Losses
from blemish.detection.dataset import ArrayDataset
from blemish.detection.train import optimisation


@pytest.mark.parametrize("name", ["swin", "convnext"])
def test_a_step(squares, tiny, name):
    model = models.build(tiny[name]).to("meta").train()
    optimiser = optimisation(model, training(amp=None))
    optimiser.optimizer = torch.optim.AdamW(model.parameters(), fused=False)  # the fused one knows no "meta"
    samples = [ArrayDataset(*squares)[i, 0, i] for i in range(4)]
    batch = {key: [sample[key] for sample in samples] for key in samples[0]}
    losses = model.train_step(batch, optimiser)
    assert losses["loss"].device.type == "meta"
    assert {"decode.loss_ce", "decode.acc_seg", "aux.loss_ce", "aux.acc_seg"} < losses.keys()


def test_the_losses_are_asked_for_before_they_are_read():
    hub = MessageHub("losses")
    runner = SimpleNamespace(message_hub=hub, max_iters=11)
    hook, read = Losses((3, 4)), []
    for i in range(11):
        hook.after_train_iter(runner, i, outputs={"loss": torch.tensor(float(i)), "other": torch.tensor(0.5)})
        read.append(len(hub.log_scalars["train/loss"].data[0]) if "train/loss" in hub.log_scalars else 0)
    assert read == [0, 0, 3, 4, 4, 6, 6, 8, 9, 9, 11]
    assert hub.get_scalar("train/loss").data[0].tolist() == list(range(11))
    assert hub.get_scalar("train/other").data[0].tolist() == [0.5] * 11


def test_images_and_labels_are_pinned(squares, monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *_: pinned.append(tensor.dtype) or tensor.clone())
    sample = ArrayDataset(*squares)[0, 0, 0]
    copy = pin_memory(sample)
    assert pinned == [torch.uint8, torch.uint8], "labels travel as bytes"
    assert (copy["data_samples"].gt_sem_seg.data == sample["data_samples"].gt_sem_seg.data).all()


def test_the_accuracy_leaves_out_what_is_ignored():
    logits = torch.tensor([[2.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])[None]  # says 0, 1, 0, 1
    labels = torch.tensor([[0, 1, 1, 255]])
    assert models._accuracy(logits, labels, 255).item() == pytest.approx(200 / 3)

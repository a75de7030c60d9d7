"""Where a detector sees artifacts: the probability of each pixel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from blemish.data.records import Record
from blemish.detection import checkpoints, models
from blemish.detection.settings import Backbone, Inference

ARTIFACT = 1  # its class


def probabilities(
    weights: Path, backbone: Backbone, records: Iterable[Record], inference: Inference
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (id, P) per record: P (h, w) float32 in [0, 1], softmax of the detector's logits at image size.

    Args:
        weights: the detector's weights.safetensors.
        backbone: the network that they belong to.
        records: images (h, w, 3) uint8, all of one size; read as they are needed.
        inference: where, and how many images at a time.

    Raises:
        UserError: the weights are missing or do not fit the network.
    """
    device, amp = inference.device, inference.amp
    model = models.build(backbone).to(device).eval()
    checkpoints.restore(model, checkpoints.read(weights))
    for batch in _batches(records, inference.batch_size):
        images = [torch.from_numpy(record.image).permute(2, 0, 1) for record in batch]
        with (
            torch.inference_mode(),
            torch.autocast(device, getattr(torch, amp or "float32"), enabled=bool(amp)),
        ):
            inputs = model.data_preprocessor({"inputs": images})["inputs"]
            logits = model.encode_decode(inputs, [{"img_shape": inputs.shape[2:]}] * len(batch))
        found = logits.float().softmax(dim=1)[:, ARTIFACT].cpu().numpy()  # (n, h, w)
        yield from zip((record.id for record in batch), found, strict=True)


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    batch = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch

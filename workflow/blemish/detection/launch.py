"""Starts the training of a detector: in this process, or by torchrun in one process per GPU of the job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from blemish.data.files import write_text
from blemish.detection.settings import Backbone, Training
from blemish.errors import UserError

PACKAGES = Path(__file__).parents[2]


def train_records(
    images: Sequence[str],
    masks: Sequence[str] | None,
    backbone: Backbone,
    training: Training,
    out: str | Path,
    state: str | Path,
    *,
    seed: int,
    device: str,
    init: str | Path | None = None,
    gpus: int = 1,
) -> None:
    """Trains a detector on records.

    Args:
        images: shards of records.
        masks: shards of the masks, None where `images` hold them.
        backbone: as in `train.train`, like `training`, `out`, `state`, `seed`, `device` and `init`.
        gpus: GPUs that train this one detector together; the batch is shared among them.

    Raises:
        UserError: see `train.train`; or a process of several failed, and the log says why.
    """
    job = {
        "images": list(images),
        "masks": list(masks) if masks else None,
        "backbone": backbone.model_dump(exclude_unset=True),
        "training": training.model_dump(),
        "out": str(out),
        "state": str(state),
        "seed": seed,
        "device": device,
        "init": str(init) if init else None,
    }
    if gpus <= 1:
        _train(job)
        return
    order = Path(f"{state}.json")  # beside `state`, which the training removes
    write_text(order, json.dumps(job))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"]
    paths = os.pathsep.join(filter(None, (str(PACKAGES), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([*torchrun, "-m", "blemish.detection.launch", str(order)], env=environment)
    if done.returncode:
        raise UserError(f"one of the {gpus} processes that train {out} failed: its job log says why.")
    order.unlink()


def _train(job: dict) -> None:
    """What each process does: `job` is what JSON holds of the arguments of `train_records`."""
    from blemish.detection.dataset import RecordsDataset  # torch and mmseg: not in torchrun's parent
    from blemish.detection.train import train

    train(
        RecordsDataset(job["images"], job["masks"]),
        Backbone(**job["backbone"]),
        Training(**job["training"]),
        Path(job["out"]),
        Path(job["state"]),
        seed=job["seed"],
        device=job["device"],
        init=Path(job["init"]) if job["init"] else None,
    )


if __name__ == "__main__":
    _train(json.loads(Path(sys.argv[1]).read_text()))

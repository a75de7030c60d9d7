"""Starts the training of a detector: in this process, or by torchrun in one process per GPU of the job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from blemish.data.files import write_text
from blemish.detection.settings import Training
from blemish.errors import UserError

PACKAGES = Path(__file__).parents[2]


def train_records(
    *,
    images: list[str],
    masks: list[str] | None,
    out: str,
    state: str,
    backbone: dict,
    settings: Training,
    seed: int,
    device: str,
    init: str | None = None,
    gpus: int = 1,
) -> None:
    """Trains a detector on records.

    Args:
        images: shards of records.
        masks: shards of the masks, None where `images` hold them.
        out: see `train.train`, as are `state`, `backbone`, `settings`, `seed`, `device` and `init`.
        gpus: GPUs that train this one detector together; the batch is shared among them.

    Raises:
        UserError: see `train.train`; or a process of several failed, and the log says why.
    """
    job = {"images": images, "masks": masks, "out": out, "state": state, "backbone": backbone, "init": init}
    job |= {"settings": settings.model_dump(mode="json"), "seed": seed, "device": device}
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
    from blemish.detection.dataset import RecordsDataset  # torch and mmseg: not in torchrun's parent
    from blemish.detection.train import train

    dataset = RecordsDataset(job.pop("images"), job.pop("masks"))
    settings = Training(**job.pop("settings"))
    train(dataset, settings=settings, **{**job, "out": Path(job["out"]), "state": Path(job["state"])})


if __name__ == "__main__":
    _train(json.loads(Path(sys.argv[1]).read_text()))

"""Trains a detector with mmengine's Runner (§4.2: the region selector, §4.4: the detectors)."""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
import uuid
from importlib.metadata import version
from pathlib import Path

from blemish.detection import mmcv_lite  # noqa: F401  isort: skip

import torch
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import LOOPS
from mmengine.runner import IterBasedTrainLoop, Runner, find_latest_checkpoint
from torch.utils.data import DataLoader

from blemish.data.digests import file_digest
from blemish.data.files import atomic, atomic_folder, write_text
from blemish.data.tensors import save
from blemish.detection import checkpoints, curves, models  # noqa: F401  curves registers itself
from blemish.detection.dataset import CROP, BatchSampler, SegmentationDataset
from blemish.detection.settings import Backbone, Training
from blemish.errors import UserError

log = logging.getLogger(__name__)

VERSIONS = ("torch", "mmsegmentation", "mmengine", "mmcv-lite", "numpy")


def train(
    dataset: SegmentationDataset,
    backbone: Backbone,
    training: Training,
    out: Path,
    state: Path,
    *,
    seed: int,
    device: str,
    init: Path | None = None,
    classes: int = 2,
) -> None:
    """Trains a UPerNet by cross-entropy and AdamW; goes on from the last checkpoint in `state`.

    Under torchrun, all processes train the one detector together: each takes its part of every batch.

    Args:
        dataset: images and labels below `classes`.
        backbone: the network.
        training: how long and how it is trained.
        out: folder for weights.safetensors (state dict), card.json (its origin), loss.csv (loss and rate at
            each iteration) and tensorboard (the same curves as event files).
        state: private folder for checkpoints and logs; removed at success.
        seed: of everything random: classifiers, data order, augmentation, dropout.
        device: "cpu" or "cuda".
        init: weights to start from, all but the classifiers; None starts from random ones.
        classes: number of classes.

    Raises:
        UserError: the settings cannot be met, or `init` does not fit the network.
    """
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    _check(device, training, processes)
    settings = {
        "backbone": json.loads(json.dumps(backbone.model_dump(exclude_unset=True), sort_keys=True)),
        "classes": classes,
        "init": file_digest(init) if init and init.is_file() else None,  # `read` refuses a missing one
        **training.model_dump(mode="json", exclude={"amp", "workers", "checkpoint_interval", "log_interval"}),
        "seed": seed,
        "amp": training.amp,
        "images": len(dataset),
        "data": dataset.fingerprint,
    }
    if rank == 0:
        _forget_other_settings(state, settings)
        _forget_damaged(state)
    if processes > 1:
        _join(device)
    torch.manual_seed(seed)
    model = models.build(backbone, classes, synchronised=processes > 1 and device == "cuda")
    model.data_preprocessor._non_blocking = True  # mmseg's class does not take mmengine's option
    if training.rescale:  # what became smaller is padded to the others' size; the loss leaves the padding out
        dataset.rescale = training.rescale
        model.data_preprocessor.size = tuple(min(side, CROP) for side in dataset.pair(0)[1].shape)
        model.data_preprocessor.size_divisor = None
    if init is not None:
        log.info("starting from %s", init)
        checkpoints.initialise(model, checkpoints.read(init))
    batches = BatchSampler(
        len(dataset), training.batch_size, seed, _reached(state), training.iterations, rank, processes
    )
    loader = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=training.workers,
        collate_fn=pseudo_collate,
        pin_memory=device == "cuda",
    )
    runner = _runner(model, loader, training, seed, state, device, processes)
    with torch.serialization.safe_globals(checkpoints.ALLOWED):
        trained = runner.train()
    if rank == 0:
        curve = _curve(runner.message_hub)
        card = {
            **settings,
            "loss": curve[-1][1],
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "processes": processes,
            "versions": {name: version(name) for name in VERSIONS},
        }
        runner.visualizer.close()
        with atomic_folder(out / "tensorboard") as temporary:
            for start, events in enumerate(sorted(state.rglob("events.out.tfevents.*"))):
                shutil.copy(events, temporary / f"events.out.tfevents.{start}")
        _write(out, revert_sync_batchnorm(getattr(trained, "module", trained)), card, curve)
        shutil.rmtree(state)


def _runner(
    model: torch.nn.Module,
    loader: DataLoader,
    training: Training,
    seed: int,
    state: Path,
    device: str,
    processes: int,
) -> Runner:
    return Runner(
        model=model,
        work_dir=str(state),
        experiment_name=uuid.uuid4().hex,  # mmengine shares logs between runs of one name
        train_dataloader=loader,
        train_cfg={"type": "ResumingLoop", "max_iters": training.iterations},
        optim_wrapper=optimisation(model, training),
        param_scheduler=_schedule(training.decay or training.iterations, round(training.warmup * training.iterations)),
        default_hooks={
            "runtime_info": {"type": "Losses", "intervals": (training.log_interval, training.checkpoint_interval)},
            # Two, because mmengine removes the oldest before it writes the newest.
            "checkpoint": {
                "type": "CheckpointHook",
                "by_epoch": False,
                "interval": training.checkpoint_interval,
                "max_keep_ckpts": 2,
                "save_last": False,
            },
            "logger": {"type": "LoggerHook", "interval": training.log_interval, "log_metric_by_epoch": False},
            "sampler_seed": None,
        },
        custom_hooks=[Reseed(seed)],
        log_processor={"by_epoch": False, "window_size": training.log_interval},
        visualizer={
            "type": "Curves",
            "vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardX"}],
        },
        launcher="pytorch" if processes > 1 else "none",
        env_cfg={"cudnn_benchmark": True},
        randomness={"seed": seed},
        cfg={"model_wrapper_cfg": _sharing(device)},
        resume=True,
    )


@LOOPS.register_module()
class ResumingLoop(IterBasedTrainLoop):
    """mmengine's loop over a data loader that begins where the checkpoint ended: nothing is skipped."""

    def run(self) -> torch.nn.Module:
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        while self._iter < self._max_iters:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model


class Reseed(Hook):
    """Draws dropout from (seed, iteration): mmengine's checkpoints hold no state of random generators."""

    def __init__(self, seed: int):
        self.seed = seed

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        torch.manual_seed((self.seed << 32) + batch_idx)


def _check(device: str, training: Training, processes: int) -> None:
    present = get_device()  # mmengine trains there, whatever one asks for
    if device != present:
        hint = "hide its GPUs with CUDA_VISIBLE_DEVICES=-1" if device == "cpu" else "set it to 'cpu'"
        raise UserError(f"device is '{device}', and this job sees '{present}': {hint}, or run it elsewhere.")
    if training.amp and device == "cpu":
        raise UserError(f"amp is '{training.amp}', and this job trains on the CPU: set amp to null in the config.")
    if training.batch_size % processes:
        raise UserError(
            f"{processes} GPUs cannot share a batch of {training.batch_size} images: make batch_size a multiple of "
            f"{processes}."
        )


def _forget_other_settings(state: Path, settings: dict) -> None:
    """Removes what a training with other settings or other data left behind."""
    record = state / "settings.json"
    text = json.dumps(settings, sort_keys=True)
    if state.exists() and not (record.exists() and record.read_text() == text):
        shutil.rmtree(state)
    write_text(record, text)


def _forget_damaged(state: Path) -> None:
    """Removes checkpoints that cannot be read: training goes on from the one before, or starts over."""
    while last := _last_checkpoint(state):
        fault = checkpoints.fault(last)
        if fault is None:
            return
        log.warning("the checkpoint %s is damaged (%s): going on from the one before", last, fault)
        last.unlink(missing_ok=True)
        left = sorted(state.glob("iter_*.pth"), key=lambda path: int(path.stem.removeprefix("iter_")))
        if left:
            (state / "last_checkpoint").write_text(str(left[-1]))
        else:
            (state / "last_checkpoint").unlink()


def _join(device: str) -> None:
    """Enters torchrun's group of processes; returns when all have come."""
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    torch.distributed.barrier()


def _sharing(device: str) -> dict:
    """How several processes share a model; mmengine's own way works on GPUs only."""
    devices = [int(os.environ.get("LOCAL_RANK", 0))] if device == "cuda" else None
    return {"type": "MMDistributedDataParallel", "device_ids": devices, "broadcast_buffers": False}


def _reached(state: Path) -> int:
    """The iteration after which the last checkpoint in `state` was written, 0 without one."""
    last = _last_checkpoint(state)
    return int(last.stem.removeprefix("iter_")) if last else 0


def _last_checkpoint(state: Path) -> Path | None:
    with models.silence():  # it says that it found none
        last = find_latest_checkpoint(str(state))
    return Path(last) if last else None


def optimisation(model: torch.nn.Module, training: Training) -> OptimWrapper:
    """AdamW for a model, in mixed precision where `training.amp` names one."""
    wrapper = {"type": "OptimWrapper"}
    if training.amp:  # bfloat16 has the range of float32: its losses need no scaling
        scale = "dynamic" if training.amp == "float16" else 1.0
        wrapper = {"type": "AmpOptimWrapper", "dtype": training.amp, "loss_scale": scale}
    undecayed = ("absolute_pos_embed", "relative_position_bias_table")  # and norms: as in mmseg's Swin config
    # What is named loses the norms' rule, so heads with the common rate are not.
    heads = ("decode_head", "auxiliary_head") if training.head_lr != 1 else ()
    with models.silence():  # it reports on every tensor
        return build_optim_wrapper(
            model,
            {
                **wrapper,
                "optimizer": {
                    "type": "AdamW",
                    "lr": training.lr,
                    "betas": training.betas,
                    "weight_decay": training.weight_decay,
                    "fused": True,
                },
                "paramwise_cfg": {
                    "norm_decay_mult": 0.0,
                    "custom_keys": {
                        **{name: {"decay_mult": 0.0} for name in undecayed},
                        **{name: {"lr_mult": training.head_lr} for name in heads},
                    },
                },
            },
        )


def _schedule(end: int, rises: int) -> list[dict]:
    """Up linearly for `rises` iterations, then down linearly, to 0 at the iteration `end`."""
    rise = {"type": "LinearLR", "start_factor": 1e-6, "by_epoch": False, "begin": 0, "end": rises}
    fall = {
        "type": "PolyLR",
        "eta_min": 0.0,
        "power": 1.0,
        "by_epoch": False,
        "begin": rises,
        "end": end,
    }
    return [rise, fall] if rises else [fall]


def _curve(hub: MessageHub) -> list[tuple[int, float, float]]:
    """(iteration, loss, learning rate) of each iteration, those before an interruption included."""
    losses, _ = hub.get_scalar("train/loss").data
    rates, _ = hub.get_scalar("train/lr").data
    return [(i + 1, float(loss), float(rate)) for i, (loss, rate) in enumerate(zip(losses, rates, strict=True))]


def _write(out: Path, model: torch.nn.Module, card: dict, curve: list[tuple[int, float, float]]) -> None:
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic(out / "loss.csv") as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("iteration", "loss", "lr"))
        writer.writerows((i, f"{loss:.6g}", f"{rate:.6g}") for i, loss, rate in curve)
    save(out / "weights.safetensors", state)
    write_text(out / "card.json", json.dumps(card, indent=2) + "\n")

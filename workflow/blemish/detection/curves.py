"""A training's curves: how mmengine comes by them, and where it writes them (TensorBoard's event files)."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from blemish.detection import mmcv_lite  # noqa: F401  isort: skip

import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.registry import HOOKS, VISBACKENDS, VISUALIZERS
from mmengine.runner import Runner
from mmengine.visualization import TensorboardVisBackend, Visualizer
from tensorboardX import SummaryWriter


@HOOKS.register_module()
class Losses(RuntimeInfoHook):
    """mmengine's record of the losses, which makes the host wait for the device at every iteration: this one
    asks for those of many iterations at once, before they are logged, saved or taken for a result.

    Args:
        intervals: numbers of iterations after which somebody reads the record.
    """

    def __init__(self, intervals: Sequence[int]):
        self.intervals, self.waiting = intervals, []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: dict[str, torch.Tensor] | None = None
    ) -> None:
        self.waiting.append(torch.stack([value.detach().float() for value in outputs.values()]))
        done = batch_idx + 1
        if done == runner.max_iters or any(done % interval == 0 for interval in self.intervals):
            for values in torch.stack(self.waiting).tolist():
                for name, value in zip(outputs, values, strict=True):
                    runner.message_hub.update_scalar(f"train/{name}", value)
            self.waiting.clear()


@VISBACKENDS.register_module()
class TensorboardX(TensorboardVisBackend):
    """mmengine's TensorBoard backend, which asks for the whole of TensorBoard, by tensorboardX."""

    def _init_env(self) -> None:
        self._tensorboard = SummaryWriter(self._save_dir, flush_secs=10)


@VISUALIZERS.register_module()
class Curves(Visualizer):
    """mmengine's visualizer without the empty figure for which it imports matplotlib (0.8 s)."""

    def _initialize_fig(self, fig_cfg: dict | None) -> tuple[None, SimpleNamespace, None]:
        return None, SimpleNamespace(get_dpi=lambda: None), None

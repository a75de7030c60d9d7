"""Where mmengine writes a training's curves: TensorBoard's event files, and no drawings."""

from __future__ import annotations

from types import SimpleNamespace

from blemish.segmentation import mmcv_lite  # noqa: F401  isort: skip

from mmengine.registry import VISBACKENDS, VISUALIZERS
from mmengine.visualization import TensorboardVisBackend, Visualizer
from tensorboardX import SummaryWriter


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

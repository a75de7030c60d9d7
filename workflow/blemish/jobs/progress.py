"""A job's progress bar: images per second, time left, and a last line for the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tqdm import tqdm

log = logging.getLogger(__name__)


class Progress(tqdm):
    """A bar over a shard's images, with images per second and the time left; its end goes to the log."""

    def __init__(self, title: str, images: int, done: int, evaluations: Callable[[], int]):
        super().__init__(desc=title, total=images, initial=done, unit="image", mininterval=10)
        self._evaluations = evaluations

    def close(self) -> None:
        if not self.disable:
            rate = (self.n - self.initial) / max(self.format_dict["elapsed"], 1e-9)
            log.info(
                "%s: %d images (%d were there), %.2f images/s, %d UNet sample evaluations",
                *(self.desc, self.n, self.initial, rate, self._evaluations()),
            )
        super().close()

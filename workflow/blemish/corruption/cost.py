"""What trajectories cost, counted: UNet sample evaluations an image. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from blemish.steps import before, stored

if TYPE_CHECKING:
    from blemish.corruption.schedule import Schedule
    from blemish.corruption.settings import ReNoise


def evaluations(first: int, last: int, settings: ReNoise, schedule: Schedule) -> int:
    """UNet sample evaluations that take one image from `first` to `last` inversion steps."""
    return sum(_step(schedule.timestep(i), settings) for i in range(first + 1, last + 1))


def _step(t: int, settings: ReNoise) -> int:
    """R + 1 predictions, and the reference's where one of them is drawn towards it (see `inversion`)."""
    early = t < settings.early_below
    further = min(settings.R_early, settings.R) if early else settings.R
    lo, _ = settings.average_early if early else settings.average_late
    regularised = further >= lo or (not settings.average and further > 0)
    return further + 1 + (settings.reg_steps > 0 and settings.lambda_kl > 0 and regularised)


def resampling(n: int, guidance: float) -> int:
    """UNet sample evaluations that take one image back from n inversion steps; guidance beyond 1 takes two a step."""
    return n if guidance == 1 else 2 * n


def shared(depths: Sequence[int], stride: int, settings: ReNoise, schedule: Schedule, guidance: float) -> int:
    """Evaluations of one image for corruptions after `depths` inversion steps each, which share its trajectory."""
    parts = ((before(n, stride), n) for n in stored(depths, stride) if n)
    return sum(resampling(n, guidance) for n in depths) + sum(evaluations(*part, settings, schedule) for part in parts)


def alone(depths: Sequence[int], settings: ReNoise, schedule: Schedule, guidance: float) -> int:
    """The same when each corruption inverts the image for itself."""
    return sum(resampling(n, guidance) + evaluations(0, n, settings, schedule) for n in depths)

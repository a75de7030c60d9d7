"""A diffusion model and what every job that runs it shares: the schedule, the seed and the size of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from blemish.corruption.diffusion import Diffusion
from blemish.corruption.sampling import random_generator
from blemish.corruption.schedule import Schedule
from blemish.data.records import Record


@dataclass(frozen=True)
class Engine:
    """What images are inverted, reconstructed and corrupted with.

    Attributes:
        steps: DDIM steps of the whole schedule.
        seed: all random numbers follow from it, the purpose and the image's id.
        batch_size: images at a time.
    """

    diffusion: Diffusion
    steps: int
    seed: int
    batch_size: int

    @classmethod
    def load(cls, diffusion: str | Path, steps: int, seed: int, batch_size: int, device: str, dtype: str) -> Engine:
        """An engine whose model lies in the folder `diffusion`; raises what `Diffusion.load` raises."""
        return cls(Diffusion.load(diffusion, device, dtype), steps, seed, batch_size)

    @cached_property
    def schedule(self) -> Schedule:
        return self.diffusion.schedule(self.steps)

    def generators(self, purpose: str, records: Iterable[Record]) -> list[torch.Generator]:
        """A CPU generator for each image."""
        return [random_generator(self.seed, purpose, record.id) for record in records]

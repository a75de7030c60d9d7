"""The inversion shard: the latents of a shard's images along their trajectories, one safetensors file.

Tensors: "z0", "z5", "z10", ... the latents after so many inversion steps, (n, 4, h, w) float32; "generator", the
images' random states at the deepest of them, (n, 5056) uint8. Metadata: "ids", a JSON list; "identity", what
the latents follow from; "evaluations", the UNet sample evaluations that they cost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from blemish.corruption.batches import image_ids
from blemish.data import tensors
from blemish.errors import UserError


class Latents:
    """An inversion shard, opened; tensors are read as they are asked for.

    Attributes:
        ids: the images, in the order of the rows.
        steps: the numbers of inversion steps stored, ascending, 0 among them.
        identity: a digest of everything the latents follow from, except the steps.
        evaluations: UNet sample evaluations spent on them.

    Raises:
        UserError: the file is missing, damaged or not an inversion shard.
    """

    def __init__(self, path: Path):
        try:
            self._file = safe_open(path, framework="pt")
            metadata = tensors.about(self._file)
            self.ids: list[str] = json.loads(metadata["ids"])
            self.identity, self.evaluations = metadata["identity"], int(metadata["evaluations"])
            self.steps = sorted(int(key[1:]) for key in self._file.keys() if key.startswith("z"))  # noqa: SIM118
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing. Run the inversion of this shard first.") from error
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged or not an inversion shard. Delete it and run again.") from error
        self.path = path

    def verified(self) -> Latents:
        """The same, after all of it was read and compared with its checksum.

        Raises:
            UserError: it is damaged.
        """
        if not tensors.is_sound(self._file):
            raise UserError(f"{self.path} is damaged: its checksum differs. Delete it and run again.")
        return self

    def at(self, n: int, rows: slice = slice(None)) -> torch.Tensor:
        """The latents after n inversion steps, (rows, 4, h, w) float32.

        Raises:
            UserError: they are not stored.
        """
        if n not in self.steps:
            raise UserError(
                f"{self.path} holds the latents after {self.steps} steps and not after {n}. Delete it and run again."
            )
        return self._file.get_slice(f"z{n}")[rows]

    def random_states(self, rows: slice = slice(None)) -> torch.Tensor:
        """The states of the images' generators after the deepest step, (rows, 5056) uint8."""
        return self._file.get_slice("generator")[rows]


def latents_of(images: Path, inversion: Path) -> Latents:
    """The inversion shard of a shard of records, after its checksum was compared.

    Raises:
        UserError: it is damaged or of other images, or the shard holds none.
    """
    latents = Latents(inversion).verified()
    if latents.ids != image_ids(images):
        raise UserError(
            f"{inversion} is the inversion of other images than those in {images}. Delete it and run again."
        )
    return latents


def save_latents(
    path: Path,
    ids: Sequence[str],
    latents: dict[int, torch.Tensor],
    random_states: torch.Tensor,
    identity: str,
    evaluations: int,
) -> None:
    """Writes an inversion shard, whole or not at all."""
    stored = {f"z{n}": z.cpu().contiguous() for n, z in latents.items()} | {"generator": random_states}
    metadata = {"ids": json.dumps(list(ids)), "identity": identity, "evaluations": str(evaluations)}
    tensors.save(path, stored, metadata)


def join_latents(paths: Sequence[Path], out: Path, spent_before: int) -> None:
    """Writes the rows of several inversion shards of one identity and the same steps as one.

    Args:
        spent_before: evaluations to be added to those of the parts.
    """
    parts = [Latents(path).verified() for path in paths]
    save_latents(
        out,
        [name for part in parts for name in part.ids],
        {n: torch.cat([part.at(n) for part in parts]) for n in parts[0].steps},
        torch.cat([part.random_states() for part in parts]),
        parts[0].identity,
        spent_before + sum(part.evaluations for part in parts),
    )

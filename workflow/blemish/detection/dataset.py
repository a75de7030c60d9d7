"""What a detector is trained on: images and labels, read where they are stored, rescaled, cropped and flipped.

Which image comes when, and how it is cropped and flipped, follows from (seed, position) alone, so that an
interrupted training goes on with the same data, however many workers and processes read.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from blemish.detection import mmcv_lite  # noqa: F401  isort: skip

import mmcv
import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset, Sampler

from blemish.data.files import explained
from blemish.data.records import decode_image, decode_mask
from blemish.data.stored import Stored
from blemish.errors import UserError

CROP = 512  # pixels; the crop of mmseg's configs
IN_MEMORY = 2**30  # bytes of decoded images that one training may hold: 1,024 of 512x512


class _Sample(SegDataSample):
    """mmseg's sample; it travels as uint8, and can be pinned, so that a copy to the device need not be waited for."""

    def to(self, *arguments, **options) -> _Sample:
        moved = super().to(*arguments, **options)
        moved.gt_sem_seg = PixelData(data=moved.gt_sem_seg.data.long())  # what mmseg's losses take
        return moved

    def pin_memory(self) -> _Sample:
        self.gt_sem_seg = PixelData(data=self.gt_sem_seg.data.pin_memory())
        return self


class SegmentationDataset(Dataset):
    """Base class: a subclass gives its length, the pair at an index and a fingerprint of all that it holds.

    Attributes:
        rescale: bounds of the factor by which `augment` rescales; None for none.
    """

    fingerprint: str
    rescale: tuple[float, float] | None = None

    @abstractmethod
    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns image (h, w, 3) uint8 RGB and labels (h, w) uint8, the class of each pixel."""

    @abstractmethod
    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int, int]) -> dict:
        """Returns {"inputs": (3, h, w) uint8, "data_samples": SegDataSample} for a key of `BatchSampler`."""
        index, seed, position = key
        image, labels = augment(*self.pair(index), np.random.default_rng((seed, position)), self.rescale)
        sample = _Sample(metainfo={"img_shape": labels.shape})
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(np.ascontiguousarray(labels[None])))
        return {
            "inputs": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            "data_samples": sample,
        }


class ArrayDataset(SegmentationDataset):
    """Images and labels that are in memory already.

    Args:
        images: (n, h, w, 3) uint8, RGB.
        labels: (n, h, w) uint8, the class of each pixel.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.images, self.labels = images, labels

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over images and labels, in order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        digest.update(np.ascontiguousarray(self.labels))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.images)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.images[index], self.labels[index]


class RecordsDataset(SegmentationDataset):
    """The images and masks of records files; labels: 0 = background, 1 = artifact.

    Decoded once, by all threads of the job, where everything fits into `memory`; else read where it lies at each use.

    Args:
        images: shards of records.
        masks: shards with the masks of the same ids; None where the images' own records hold them.
        memory: bytes of decoded images to hold at most.

    Raises:
        UserError: a shard is missing or damaged, empty, or an image lacks its mask.
    """

    def __init__(self, images: Sequence[Path], masks: Sequence[Path] | None = None, memory: int = IN_MEMORY):
        found = Stored(images, "image")
        truths = Stored(masks, "mask") if masks else Stored(images, "mask")
        places = {name: i for i, name in enumerate(truths.ids)}
        self.ids = found.ids
        bare = [
            name
            for i, name in enumerate(self.ids)
            if not (found.holds(i) and name in places and truths.holds(places[name]))
        ]
        if bare:
            raise UserError(
                f"{len(bare)} of {len(found)} images of {images[0]} have no mask in {(masks or images)[0]}, "
                f"such as {bare[0]}: delete both and run again."
            )
        if not found:
            raise UserError(
                f"{images[0]} is empty, and a detector cannot be trained on it: see the log of the rule that made it."
            )
        self._images, self._masks = found, truths
        self._place = array("q", (places[name] for name in self.ids))
        self.fingerprint = _digest(self.ids, map(self._encoded, range(len(self))))
        self._decoded: list[tuple[np.ndarray, np.ndarray]] = []
        if len(self) * sum(part.nbytes for part in self.pair(0)) <= memory:
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                self._decoded = list(pool.map(self.pair, range(len(self))))

    def __len__(self) -> int:
        return len(self.ids)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self._decoded:
            return self._decoded[index]
        image, mask = self._encoded(index)
        with explained(f"{self.ids[index]}, to be trained on,"):
            image, mask = decode_image(image), decode_mask(mask).astype(np.uint8)
        if mask.shape != image.shape[:2]:
            raise UserError(
                f"the mask of {self.ids[index]} is {mask.shape} and its image {image.shape[:2]}: make both at one size."
            )
        return image, mask

    def _encoded(self, index: int) -> tuple[bytes, bytes]:
        return self._images[index], self._masks[self._place[index]]


def _digest(ids: Sequence[str], pairs: Iterable[tuple[bytes, bytes]]) -> str:
    """SHA-256 over ids and encoded images and masks, in order."""
    digest = hashlib.sha256()
    for name, (image, mask) in zip(ids, pairs, strict=True):
        for part in (name.encode(), image, mask):
            digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def augment(
    image: np.ndarray, labels: np.ndarray, rng: np.random.Generator, rescale: tuple[float, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rescales, crops at a random place what then exceeds the image's own sides or `CROP`, mirrors every second pair.

    Args:
        image: (h, w, 3) uint8.
        labels: (h, w) uint8.
        rng: where the choices come from.
        rescale: bounds of a factor, drawn uniformly, as mmseg's RandomResize does: the image bilinearly, the labels
            by the nearest pixel. Training pads what has become smaller.

    Returns:
        Image and labels, each side at most `CROP`.
    """
    limits = [min(side, CROP) for side in labels.shape]
    if rescale:
        factor = rng.uniform(*rescale)
        size = tuple(max(round(side * factor), 1) for side in labels.shape[::-1])  # (w, h), as OpenCV counts
        image = mmcv.imresize(image, size)
        labels = mmcv.imresize(labels, size, interpolation="nearest")
    top, left = (int(rng.integers(max(side - limit, 0) + 1)) for side, limit in zip(labels.shape, limits, strict=True))
    window = np.s_[top : top + limits[0], left : left + limits[1]]
    mirror = np.s_[:, :: -1 if rng.random() < 0.5 else 1]
    return image[window][mirror], labels[window][mirror]


class BatchSampler(Sampler):
    """The batches of a training, each a list of (index, seed, position) for `SegmentationDataset`.

    Position p takes image p mod n of a permutation drawn from (seed, p // n): every image once per pass.

    Args:
        images: n, the size of the set.
        batch_size: images of a batch over all processes.
        seed: of order and augmentation.
        start: the iteration to begin with.
        stop: the iteration to end before.
        rank: which of `processes` equal parts of each batch to yield.
        processes: number of processes that train together.
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        seed: int,
        start: int,
        stop: int,
        rank: int = 0,
        processes: int = 1,
    ):
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.start, self.stop, self.rank, self.processes = start, stop, rank, processes

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        current, order = -1, None
        for iteration in range(self.start, self.stop):
            batch = []
            for position in range(iteration * self.batch_size, (iteration + 1) * self.batch_size):
                if position // self.images != current:
                    current = position // self.images
                    order = np.random.default_rng((self.seed, current, 0)).permutation(self.images)
                batch.append((int(order[position % self.images]), self.seed, position))
            yield batch[self.rank :: self.processes]

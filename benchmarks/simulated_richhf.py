"""A RichHF-18k with a known truth: maps that are means over 1-3 simulated annotators, as the real ones seem to be.

Each annotator clicks points; a point marks a disc of a twentieth of the image's height (RichHF's paper,
arXiv 2312.10240, §3.2); an annotator's map is the union of the discs; the sample's map is the mean over annotators.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from blemish.data.images import encode_png


@dataclass(frozen=True)
class Simulated:
    """One sample with its truth.

    Attributes:
        votes: (annotators, side, side) bool, what each annotator marked.
        scores: the four scores, each (mean - 1) / 4 of the annotators' ratings 1..5.
    """

    votes: np.ndarray
    scores: dict[str, float]

    @property
    def annotators(self) -> int:
        return len(self.votes)

    @property
    def map(self) -> np.ndarray:
        """(side, side) uint8, the mean over annotators times 255."""
        return np.round(self.votes.mean(axis=0) * 255).astype(np.uint8)

    def mask(self, votes: int = 2) -> np.ndarray:
        """(side, side) bool, True where at least `votes` annotators marked the pixel."""
        return self.votes.sum(axis=0) >= votes


def simulate(rng: np.random.Generator, annotators: int, side: int = 512) -> Simulated:
    """Draws a sample: flaws that most annotators see, each with a few clicks near it, and clicks of their own."""
    flaws = rng.uniform(0.1, 0.9, (rng.integers(0, 4), 2)) * side
    y, x = np.ogrid[:side, :side]
    votes = np.zeros((annotators, side, side), bool)
    for marked in votes:
        seen = flaws[rng.random(len(flaws)) < 0.7]
        clicks = [p + rng.normal(0, side / 30, 2) for p in seen for _ in range(rng.integers(1, 4))]
        clicks += list(rng.uniform(0, side, (rng.poisson(0.5), 2)))
        for cy, cx in clicks:
            marked |= (y - cy) ** 2 + (x - cx) ** 2 <= (side / 20) ** 2
    names = ("artifact_score", "aesthetics_score", "misalignment_score", "overall_score")
    scores = {name: (rng.integers(1, 6, annotators).mean() - 1) / 4 for name in names}
    return Simulated(votes, scores)


def encode_map(pixels: np.ndarray, quality: int | None) -> bytes:
    """Encodes a (h, w) uint8 map as JPEG of that quality, or as PNG."""
    if quality is None:
        return encode_png(pixels)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def example(sample: Simulated, name: str, quality: int | None) -> dict[str, bytes | list[float]]:
    """The features of a RichHF record."""
    content = encode_map(sample.map, quality)
    return {
        "filename": name.encode(),
        "artifact_map": content,
        "misalignment_map": content,
        "prompt_misalignment_label": b"1 1 0 1",
        **{key: [value] for key, value in sample.scores.items()},
    }

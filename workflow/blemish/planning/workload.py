"""What a run has to do, counted from its config: the work of every job, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from blemish import experiments
from blemish.corruption.cost import evaluations, resampling
from blemish.corruption.schedule import Schedule
from blemish.corruption.settings import ReNoise
from blemish.steps import before

STAGES = (
    *("sources", "sets", "selector", "regions", "inversion", "reconstruction"),
    *("corruption", "detectors", "evaluation"),
)

RANDOM_STATE = 5056
"""Bytes of a generator's state in an inversion shard."""


@dataclass(frozen=True)
class Sizes:
    """What a run's amounts depend on beside its config.

    Attributes:
        images: how many, of each pool and of "train", "test" and "human" of RichHF-18k.
        image, mask: bytes of one, as PNG.
        latent: cells of a latent.
        weights: bytes of a detector.
        sources: bytes of everything fetched but the images.
    """

    images: Mapping[str, int]
    image: float
    mask: float
    latent: int
    weights: int
    sources: int


def work(config: Mapping, sizes: Sizes, settings: ReNoise, schedule: Schedule) -> dict[str, list[Counter]]:
    """The work of every stage: one counter for each sequence of jobs that must follow one another.

    Returns:
        stage -> counters of "started" (GPU jobs), "inverted" and "resampled" (UNet sample evaluations), "encoded"
        and "decoded" (images through the VAE), "trained/<backbone>" and "segmented/<backbone>" (images, back and
        forth or forth only), "written" (images that a job reads and encodes beside the device), "bytes". Every mask is
        taken to select something, so these are upper bounds.
    """
    shards = {pool: cut["shards"] for pool, cut in config["pools"].items()}
    images = {pool: sizes.images[pool] / shards[pool] for pool in shards}  # of one shard
    latent, detectors = 4 * 4 * sizes.latent, config["detectors"]
    done: dict[str, list[Counter]] = {stage: [] for stage in STAGES}
    done["sources"].append(Counter(bytes=sizes.sources))
    for name in ("train", "test", "train", "test", "human"):  # as they are fetched, then with their masks
        done["sets"].append(Counter(bytes=sizes.images[name] * sizes.image))
    for pool, count in shards.items():
        done["sets"] += count * [Counter(bytes=images[pool] * sizes.image)]
    for pool, backbone in experiments.regions(config):
        job = {"started": 1, f"segmented/{backbone}": images[pool], "bytes": images[pool] * sizes.mask}
        done["regions"] += shards[pool] * [Counter(job)]
    chains = {pool: Counter() for pool in shards}
    for pool, n in experiments.inversions(config):
        chains[pool].update(started=1, bytes=images[pool] * (latent * (2 if n else 1) + RANDOM_STATE))
        if n:
            start = before(n, config["schedule"]["stride"])
            chains[pool].update(inverted=images[pool] * evaluations(start, n, settings, schedule))
        else:
            chains[pool].update(encoded=images[pool])
    for pool, count in shards.items():
        if chains[pool]:
            done["inversion"] += count * [chains[pool]]
            job = {"started": 1, "decoded": images[pool], "written": images[pool], "bytes": images[pool] * sizes.image}
            done["reconstruction"] += count * [Counter(job)]
    for pool, recipe, _ in experiments.corrupted_pools(config):
        n, count = experiments.depth(config, recipe), images[pool]
        resampled = count * resampling(n, config["corruption"]["guidance"])
        job = {"started": 1, "resampled": resampled, "decoded": count, "written": count, "bytes": count * sizes.image}
        done["corruption"] += shards[pool] * [Counter(job)]
    for detector, _ in experiments.trainings(config):
        human = detector.supervision == "human"
        seen = detectors["selector_iterations" if human else "iterations"] * detectors["batch_size"]
        job = {"started": 1, f"trained/{detector.backbone}": seen, "bytes": sizes.weights}
        done["selector" if human else "detectors"].append(Counter(job))
    for detector in experiments.detectors(config["tables"]):
        job = {"started": 1, f"segmented/{detector.backbone}": sizes.images["test"]}
        done["evaluation"] += len(detectors["seeds"]) * [Counter(job)]
    return done

"""What a run has to do, counted: UNet evaluations of its trajectories, and the work of every job of its graph.

The Snakefile imports this module, so neither torch nor pyarrow is imported here.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blemish.corruption.cost import evaluations
from blemish.experiments import before, steps_inverted

if TYPE_CHECKING:
    from blemish.corruption.schedule import Schedule
    from blemish.corruption.settings import ReNoise

RANDOM_STATE = 5056
"""Bytes of a generator's state in an inversion shard."""

OUTPUTS = {
    "sets": r"(?:sources/richhf/images-|sets/richhf-)(?P<name>train|test|100)\.parquet"
    r"|pools/(?P<pool>[^/]+)/\d+\.parquet",
    "regions": r"regions/(?P<pool>[^/]+)/(?P<backbone>[^/]+)/\d+\.parquet",
    "inversion": r"inversion/(?P<pool>[^/]+)/(?P<shard>\d+)/(?P<n>\d+)\.safetensors",
    "reconstruction": r"reconstructed/(?P<pool>[^/]+)/\d+\.parquet",
    "corruption": r"corrupted/(?P<pool>[^/]+)/(?P<recipe>[^/]+)/(?P<backbone>[^/]+)/\d+\.parquet",
    "detectors": r"detectors/(?P<train_set>[^/]+)/(?P<supervision>[^/]+)/(?P<backbone>[^/]+)/seed-\d+/weights\..*",
    "evaluation": r"detectors/[^/]+/[^/]+/(?P<backbone>[^/]+)/seed-\d+/metrics\.json",
}
"""The file that stands for a job of each stage, below <results>."""

STAGES = (
    *("sources", "sets", "selector", "regions", "inversion", "reconstruction"),
    *("corruption", "detectors", "evaluation"),
)


def read_graph(files: Iterable[str], results: str) -> dict[str, list[dict[str, str]]]:
    """The jobs of each stage of `OUTPUTS`, as the wildcards of the files that they write.

    Args:
        files: all files of the graph.
        results: the run's folder, as `pathvars: results` has it.
    """
    patterns = {stage: re.compile(f"{re.escape(results)}/(?:{pattern})") for stage, pattern in OUTPUTS.items()}
    graph: dict[str, list[dict[str, str]]] = {stage: [] for stage in OUTPUTS}
    for file in files:
        for stage, pattern in patterns.items():
            if match := pattern.fullmatch(file):
                graph[stage].append(match.groupdict())
    return graph


@dataclass(frozen=True)
class Sizes:
    """What a run's amounts depend on beside its config.

    Attributes:
        images: how many, of each pool and of "train", "test" and "100" of RichHF-18k.
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


def work(
    graph: Mapping[str, Sequence[Mapping[str, str]]],
    config: Mapping,
    sizes: Sizes,
    settings: ReNoise,
    schedule: Schedule,
) -> dict[str, list[Counter]]:
    """The work of every stage: one counter for each sequence of jobs that must follow one another.

    Returns:
        stage -> counters of "started" (GPU jobs), "inverted" and "resampled" (UNet sample evaluations), "encoded"
        and "decoded" (images through the VAE), "trained/<backbone>" and "segmented/<backbone>" (images, back and
        forth or forth only), "bytes". Every mask is taken to select something, so these are upper bounds.
    """
    latent, detectors = 4 * 4 * sizes.latent, config["detectors"]
    part = {pool: sizes.images[pool] / cut["shards"] for pool, cut in config["pools"].items()}
    done: dict[str, list[Counter]] = {stage: [] for stage in STAGES}
    done["sources"].append(Counter(bytes=sizes.sources))
    for job in graph["sets"]:
        images = part[job["pool"]] if job["pool"] else sizes.images[job["name"]]
        done["sets"].append(Counter(bytes=images * sizes.image))
    for job in graph["regions"]:
        n = part[job["pool"]]
        done["regions"].append(Counter({"started": 1, f"segmented/{job['backbone']}": n, "bytes": n * sizes.mask}))
    chains: defaultdict[tuple, Counter] = defaultdict(Counter)
    for job in graph["inversion"]:
        images, n = part[job["pool"]], int(job["n"])
        chain = chains[job["pool"], job["shard"]]
        chain.update(started=1, bytes=images * (latent * (2 if n else 1) + RANDOM_STATE))
        if n:
            start = before(n, config["schedule"]["stride"])
            chain.update(inverted=images * evaluations(start, n, settings, schedule))
        else:
            chain.update(encoded=images)
    done["inversion"] += chains.values()
    for job in graph["reconstruction"]:
        images = part[job["pool"]]
        done["reconstruction"].append(Counter(started=1, decoded=images, bytes=images * sizes.image))
    for job in graph["corruption"]:
        images = part[job["pool"]]
        n = steps_inverted(config["recipes"][job["recipe"]]["step"], schedule.steps)
        amounts = {"started": 1, "resampled": images * n, "decoded": images, "bytes": images * sizes.image}
        done["corruption"].append(Counter(amounts))
    for job in graph["detectors"]:
        human = job["supervision"] == "human"
        images = detectors["selector_iterations" if human else "iterations"] * detectors["batch_size"]
        amounts = {"started": 1, f"trained/{job['backbone']}": images, "bytes": sizes.weights}
        done["selector" if human else "detectors"].append(Counter(amounts))
    for job in graph["evaluation"]:
        amounts = {"started": 1, f"segmented/{job['backbone']}": sizes.images["test"]}
        done["evaluation"].append(Counter(amounts))
    return done

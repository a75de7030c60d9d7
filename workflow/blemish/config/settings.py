"""The whole config: every chapter's settings, and what belongs to no chapter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from blemish.corruption.settings import AnyRecipe, Corruption, ReNoise, Trajectory
from blemish.detection.settings import Backbone, Detectors, Selector
from blemish.evaluation.settings import Evaluation
from blemish.labels.settings import Labels, Subset
from blemish.report.settings import Claim, Figures, Gallery, Published, Table
from blemish.settings import Name, Seed, Settings
from blemish.sources.settings import Pools, Sources


class Pathvars(Settings):
    """Where files go."""

    results: Annotated[str, Field(pattern="^[^{}<>]+$")]
    """Folder of everything the run makes, without {}<> in its path."""


class Config(Settings):
    """Blemish's configuration."""

    pathvars: Pathvars
    """Where files go."""
    seed: Seed
    """Every random number of the run follows from it.

    ASSUME: the paper names none."""
    resolution: Annotated[int, Field(ge=32, multiple_of=8)]
    """Side of all images and masks, in pixels.

    ASSUME: the size of RichHF's maps, of Stable Diffusion 1.5 and of the ADE20K crop."""
    device: Literal["cuda", "cpu"]
    """Where networks run."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Number format of the diffusion networks; latents and coefficients are float32.

    ASSUME: the paper names none; bfloat16 is fast."""
    sources: Sources
    """Where the inputs come from."""
    labels: Labels
    """How artifact maps become binary masks (§4.1)."""
    subset: Subset
    """The human-labelled samples of the region selection model (§4.1)."""
    pools: Pools
    """Sets of clean images to select regions in and to corrupt; each is a train set."""
    backbones: Annotated[dict[Name, Backbone], Field(min_length=1)]
    """Segmentation models, by name (§4.2)."""
    detectors: Detectors
    """How detectors are trained (§4.2, §4.4)."""
    selector: Selector
    """The region selection model (§3.1)."""
    schedule: Trajectory
    """The trajectory of an inverted image (§4.3)."""
    renoise: ReNoise
    """ReNoise, the inversion (§3.2, §4.3).

    ASSUME: the paper says "ReNoise" and nothing more; the values are those of the method's own Stable Diffusion
    example."""
    corruption: Corruption
    """How masks meet latents (§3.2)."""
    evaluation: Evaluation
    """How detectors are judged (§4.4)."""
    figures: Figures
    """What pictures show."""
    gallery: Gallery
    """The page to browse corrupted images."""
    recipes: dict[Name, AnyRecipe]
    """Corruptions by name."""
    tables: dict[Name, Table]
    """Tables as rows x columns of detectors."""
    published: dict[str, Published]
    """The paper's numbers, table -> rows x columns, in %."""
    claims: dict[str, Claim]
    """The paper's statements, judged on the run's own detectors."""

"""How images are inverted and corrupted: the sections `schedule`, `renoise`, `corruption` and `recipes`."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Literal

from pydantic import Field, create_model

from blemish.corruption import methods
from blemish.settings import Count, Settings

Natural = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]
Pair = Annotated[tuple[Natural, Natural], Field(strict=False)]  # YAML has lists only


class Trajectory(Settings):
    """The trajectory of an inverted image."""

    steps: Annotated[int, Field(ge=1, le=1000)]
    """Steps of the DDIM schedule (§4.3)."""
    stride: Count
    """Steps of inversion between stored latents; corruption starts from such, and Table 3 has 5, 10, 15, 20 (§6.1)."""


class ReNoise(Settings):
    """ReNoise, the inversion of Eq. 2 (reference [5] of the paper)."""

    R: Natural
    """Predictions of a step beyond the first; 0 is plain DDIM inversion."""
    R_early: Natural
    """Upper bound of R at early timesteps."""
    early_below: Natural
    """Timesteps below this are early."""
    average: bool
    """Whether a step ends with the mean of its predictions."""
    average_early: Pair
    """First and last (exclusive) prediction in that mean, at early timesteps."""
    average_late: Pair
    """First and last (exclusive) prediction in that mean, at later timesteps."""
    reg_steps: Natural
    """Gradient steps of regularisation per prediction; 0 for none."""
    lambda_kl: Weight
    """Step size of the patch KL term."""
    lambda_pair: Weight
    """Step size of the pairwise correlation term."""
    pair_rolls: Count
    """Random shifts per gradient step of the pairwise term."""
    reference: Literal["clean", "noised"]
    """The latent whose prediction the KL term compares with: the image latent, clean or noised to the timestep."""


class Corruption(Settings):
    """How masks meet latents.

    ASSUME: the condition c of Eqs. 2 and 6 is the image's own caption.

    ASSUME: rotation turns the whole latent, not each region: the paper turns "the image" (§5.3).

    ASSUME: downscaling takes block means and enlarges by nearest neighbour; the paper names no filter (§5.3).
    """

    mask_rule: Literal["any", "majority", "nearest"]
    """A latent cell is selected if any, a majority, or the one nearest to its centre of its pixels is (Eq. 1, §3.2).
    A mark that selects no cell is left out of the label.

    ASSUME: the paper multiplies a mask of pixels with latents and does not say how. Nearest, as code around diffusers
    does: it corrupts as much as is labelled, whatever the marks' size; any would corrupt a third more than the label of
    people's marks and three times that of fine ones, and a majority leaves a fifth of fine ones out."""
    guidance: Annotated[float, Field(ge=1)]
    """Scale of classifier-free guidance in resampling; 1 is none, beyond it a step evaluates the UNet twice. Inversion
    has none.

    ASSUME: the paper names none. None, as in the inversion, so that resampling retraces its steps outside the region;
    7.5 is usual where images are made from text."""
    batch_size: Count
    """Images per UNet call; halved when memory runs out."""
    threads: Count
    """CPU threads of a job that makes images, which read, label and encode them while the GPU works on the next; they
    change no result. All GPUs work at once only where there are so many cores for each."""


class Recipe(Settings):
    """A corruption method at a step; the other keys are the method's own parameters."""

    method: str
    """A file of workflow/blemish/corruption/methods."""
    step: Natural
    """DDIM step as the paper counts: `schedule.steps` minus step are inverted (§4.3). 0 inverts all of them,
    `schedule.steps` nothing: that is the image latent."""


def recipe(method: str) -> type[Recipe]:
    """The recipes of one method: `Recipe` with the parameters that the method's file describes."""
    kinds = {"int": int, "float": float, "str": str, "bool": bool}
    fields: dict = {"method": (Literal[method], Field(description=Recipe.model_fields["method"].description))}
    for name, about in methods.parameters(method).items():
        bounds = {key: value for key, value in about.items() if key not in ("type", "choices")}
        kind = Literal[tuple(about["choices"])] if "choices" in about else kinds[about["type"]]
        fields[name] = (kind, Field(**bounds))
    return create_model(method, __base__=Recipe, __doc__=f"A recipe of the method {method}.", **fields)


RECIPES = {method: recipe(method) for method in methods.methods()}
AnyRecipe = Annotated[reduce(or_, RECIPES.values()), Field(discriminator="method")]
"""A recipe of any method."""

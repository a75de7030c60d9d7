"""The paper's settings as config/ has them, with the changes that a test wants."""

from functools import cache

from blemish.config.load import load
from blemish.corruption.settings import RECIPES, Recipe, ReNoise
from blemish.detection.settings import Training
from blemish.labels.settings import Labels


@cache
def _config() -> dict:
    return load()


def parameters(method: str) -> dict:
    """A method's own parameters in the first recipe that has it."""
    recipe = next(recipe for recipe in _config()["recipes"].values() if recipe["method"] == method)
    return {name: value for name, value in recipe.items() if name not in ("method", "step")}


def renoise(**changes) -> ReNoise:
    return ReNoise(**_config()["renoise"] | changes)


def labels(**changes) -> Labels:
    return Labels(**_config()["labels"] | changes)


def training(**changes) -> Training:
    """A detector's training, on the CPU and short."""
    kept = {key: value for key, value in _config()["detectors"].items() if key in Training.model_fields}
    return Training(**kept | {"amp": None, "workers": 0} | changes)


def recipe(method: str = "proposed", step: int = 48) -> Recipe:
    """A recipe with the method's own parameters as config/corruptions.yaml has them."""
    return RECIPES[method](method=method, step=step, **parameters(method))

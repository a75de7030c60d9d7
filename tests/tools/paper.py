"""The paper's settings as config/ has them, with the changes that a test wants."""

from functools import cache

from blemish.config.load import load
from blemish.corruption.settings import RECIPES, Recipe, ReNoise
from blemish.labels.settings import Labels


@cache
def _config() -> dict:
    return load()


def renoise(**changes) -> ReNoise:
    return ReNoise(**_config()["renoise"] | changes)


def labels(**changes) -> Labels:
    return Labels(**_config()["labels"] | changes)


def recipe(method: str = "proposed", step: int = 48) -> Recipe:
    """A recipe with the method's own parameters, where it has some, as config/corruptions.yaml has them."""
    given = next(own for own in _config()["recipes"].values() if own["method"] == method)
    return RECIPES[method](**given | {"step": step})

"""The config as Snakemake merges it, checked, and the files that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from blemish.config.check import check, read

ROOT = Path(__file__).parents[3]
# `pip install` puts copies of what the commands need beside code into the package.
HOME = ROOT if (ROOT / "Snakefile").is_file() else Path(__file__).parents[1] / "home"
FILES = ("config", "corruptions", "paper/tables", "paper/published", "paper/claims")


def base() -> list[Path]:
    """The files of the paper's config, in the order of the Snakefile."""
    return [HOME / "config" / f"{name}.yaml" for name in FILES]


def merge(contents: Iterable[Mapping]) -> dict:
    """Contents of config files as one: key by key, the later ones have the last word; lists are replaced."""
    from snakemake.utils import update_config

    config: dict = {}
    for content in contents:
        update_config(config, content)
    return config


def load(overlays: Iterable[str | Path] = ()) -> dict:
    """The paper's config with overlays, checked.

    Raises:
        UserError: a file is missing, is not YAML or holds a mistake.
    """
    files = [*base(), *overlays]
    config = merge(map(read, files))
    check(config, files)
    return config


def locate(path: str | Path) -> Path | None:
    """A path of the config: from the working directory, else from the repository's root; None if it is not there."""
    return next((folder / path for folder in (Path(), HOME) if (folder / path).exists()), None)


def model_folder(config: Mapping) -> Path | None:
    """Where the diffusion model lies, if it is here already."""
    repo = config["sources"]["diffusion"]["repo"]
    own = locate(repo.removeprefix("file:")) if repo.startswith("file:") else None
    return own or locate(Path(config["pathvars"]["results"]) / "sources" / "diffusion")

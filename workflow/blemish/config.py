"""The config outside Snakemake: merged as Snakemake merges it and checked, and the files that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from blemish import reference
from blemish.errors import UserError
from blemish.validation import HOME, check


def load(overlays: Iterable[str | Path]) -> dict:
    """The config as Snakemake merges it, checked.

    Raises:
        UserError: a file is missing, is no YAML or holds a mistake.
    """
    from snakemake.utils import update_config

    config: dict = {}
    files = [*(HOME / "config" / f"{name}.yaml" for name in reference.FILES), *overlays]
    for path in files:
        try:
            overlay = yaml.safe_load(Path(path).read_text()) or {}
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing: name the config files that lie over config/config.yaml.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is no YAML ({error}): correct it.") from error
        if not isinstance(overlay, dict):
            raise UserError(f"{path} is no config: it holds no keys.")
        update_config(config, overlay)
    check(config, files)
    return config


def locate(path: str | Path) -> Path | None:
    """A path of the config: from the working directory, else from the repository's root; None if it is not there."""
    return next((base / path for base in (Path(), HOME) if (base / path).exists()), None)


def model_folder(config: Mapping) -> Path | None:
    """Where the diffusion model lies, if it is here already."""
    repo = config["sources"]["diffusion"]["repo"]
    own = locate(repo.removeprefix("file:")) if repo.startswith("file:") else None
    return own or locate(Path(config["pathvars"]["results"]) / "sources" / "diffusion")

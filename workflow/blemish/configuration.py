"""The config outside Snakemake: merged as Snakemake merges it, and the files that it names.

In a checkout the files lie in its folders; `pip install` puts copies of those it needs into the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from blemish import reference
from blemish.job import UserError

HOME = reference.ROOT if (reference.ROOT / "Snakefile").is_file() else Path(__file__).parent / "home"


def load(overlays: Iterable[str | Path]) -> dict:
    """The config as Snakemake merges it.

    Raises:
        UserError: a file is missing or is no YAML.
    """
    from snakemake.utils import update_config

    config: dict = {}
    for path in [*(HOME / "config" / f"{name}.yaml" for name in reference.FILES), *overlays]:
        try:
            overlay = yaml.safe_load(Path(path).read_text()) or {}
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing: name the config files that lie over config/config.yaml.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is no YAML ({error}): correct it.") from error
        if not isinstance(overlay, dict):
            raise UserError(f"{path} is no config: it holds no keys.")
        update_config(config, overlay)
    return config


def check(config: Mapping) -> None:
    """Checks a merged config against the schema.

    Raises:
        UserError: names the key and what is wrong with it.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    schema = yaml.safe_load((HOME / "workflow" / "schemas" / "config.schema.yaml").read_text())
    if error := best_match(Draft202012Validator(schema).iter_errors(config)):
        key = ".".join(map(str, error.absolute_path))
        raise UserError(f"{key or 'the config'}: {error.message}: config/README.md describes every key.")


def locate(path: str | Path) -> Path | None:
    """A path of the config: from the working directory, else from the repository's root; None if it is not there."""
    return next((base / path for base in (Path(), HOME) if (base / path).exists()), None)


def model_folder(config: Mapping) -> Path | None:
    """Where the diffusion model lies, if it is here already."""
    repo = config["sources"]["diffusion"]["repo"]
    own = locate(repo.removeprefix("file:")) if repo.startswith("file:") else None
    return own or locate(Path(config["pathvars"]["results"]) / "sources" / "diffusion")

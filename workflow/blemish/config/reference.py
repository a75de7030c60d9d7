"""`python -m blemish.config.reference` writes what follows from the settings' models.

config/README.md has every key, docs/assumptions.md what the paper leaves open, workflow/schemas/ the schemas by which
editors check config files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from blemish.config.check import about, kind, others, read, schema, ways
from blemish.config.load import ROOT, base, merge
from blemish.config.settings import Config
from blemish.miniworld.settings import Miniworld
from blemish.report.text import markdown
from blemish.settings import Settings

README = """# Configuration

`config.yaml` is the paper at full scale, `mini.yaml` overlays the embedded default, `test.yaml` the smallest run:
`snakemake --configfile config/mini.yaml` (values merge key by key; later files win). `corruptions.yaml` holds recipes.
`paper/` is the paper's data: `tables.yaml` its tables, `published.yaml` its numbers, `claims.yaml` its statements.
Behind a value stands its section of the paper, or `ASSUME` where [the paper leaves it open](../docs/assumptions.md).

A local path is written `file:` and the path from the repository's root. A name in place of `*` is free.

Generated from the models in `workflow/blemish/*/settings.py` by `make docs`.

{}
`miniworld.yaml` is what `make miniworld` makes:

{}"""

ASSUMPTIONS = """# What the paper leaves open

Every place where something had to be decided that the paper does not say. Where a key of the config decides, it is
named ([what each key means](../config/README.md)); a section's name alone stands for what its code decides.

Generated from the models in `workflow/blemish/*/settings.py` by `make docs`.

{}"""


class Key(NamedTuple):
    """A key of the config, what the schema says of it, and the paper's value."""

    name: str
    node: dict
    value: object


def documents() -> dict[Path, str]:
    """The text of every file that follows from the models."""
    config, schemas = ROOT / "config", ROOT / "workflow" / "schemas"
    settings = _table(schema(), merge(map(read, base())))
    miniworld = _table(schema(Miniworld), read(config / "miniworld.yaml"))
    reasons = [[f"`{name}`", reason.replace("|", r"\|")] for name, reason in assumptions()]
    return {
        config / "README.md": README.format(settings, miniworld),
        ROOT / "docs" / "assumptions.md": ASSUMPTIONS.format(markdown(["setting", "assumption"], reasons, left=2)),
        schemas / "config.schema.json": _editor(Config),
        schemas / "miniworld.schema.json": _editor(Miniworld),
    }


def keys(node: dict, value: object = None, prefix: str = "") -> Iterator[Key]:
    """Every key of a section, in the schema's order; `*` stands for names that are free."""
    for name, inside in _named(node).items():
        own = value.get(name) if isinstance(value, dict) else None
        yield Key(prefix + name, inside, own)
        yield from keys(inside, own, f"{prefix}{name}.")
    for way in ways(node):
        if (inside := others(way)) and _named(inside):
            yield from keys(inside, prefix=f"{prefix}*.")


def _named(node: dict) -> dict[str, dict]:
    """The keys that a section names, whichever of several kinds it is."""
    return {name: inside for way in ways(node) for name, inside in way.get("properties", {}).items()}


def assumptions(model: type[Settings] = Config) -> Iterator[tuple[str, str]]:
    """(key, reason) of all that the paper leaves open; the same key twice, where it does so in several ways."""
    for key in keys(schema(model)):
        texts = [key.node.get("description", ""), key.node.get("class", "")]
        for text in dict.fromkeys(texts):
            for paragraph in text.split("\n\n"):
                if paragraph.startswith("ASSUME: "):
                    yield key.name, " ".join(paragraph.removeprefix("ASSUME: ").split())


def _table(section: dict, values: Mapping) -> str:
    rows = []
    for name, node, value in keys(section, values):
        short = value is not None and not isinstance(value, dict) and len(str(value)) <= 60
        default = f"`{json.dumps(value)}`" if short else ""
        rows.append([f"`{name}`", kind(node), about(node).replace("|", r"\|") + ".", default])
    return markdown(["key", "value", "meaning", "default"], rows, left=4)


def _editor(model: type[Settings]) -> str:
    """The schema of a model for editors: nothing is required, because a file may lie over others."""

    def strip(node: object) -> object:
        if isinstance(node, list):
            return [strip(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "patternProperties" in node:
            node = node | {"additionalProperties": False}
        if "oneOf" in node:  # an overlay of a recipe need not say its method
            node = node | {"anyOf": node["oneOf"]}
        left_out = ("default", "discriminator", "oneOf", "required")
        if isinstance(node.get("title"), str):  # else it is a table's key of that name
            left_out += ("title",)
        return {key: strip(value) for key, value in node.items() if key not in left_out}

    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | strip(model.model_json_schema())
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, text in documents().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

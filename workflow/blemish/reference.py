"""`python -m blemish.reference` writes config/README.md: every key, from the schema, with its default."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from blemish.validation import ROOT, kind, schema

TARGET = ROOT / "config" / "README.md"
FILES = ("config", "corruptions", "tables", "published", "claims")

HEAD = """# Configuration

`config.yaml` is the paper at full scale, `mini.yaml` overlays the embedded default, `test.yaml` the smallest run:
`snakemake --configfile config/mini.yaml` (values merge key by key; later files win). `corruptions.yaml` holds recipes,
`tables.yaml` the tables, `published.yaml` the paper's numbers, `claims.yaml` its statements. Comments in these files
say where each number comes from; `ASSUME` marks what the paper leaves open.

A local path is written `file:` and the path from the repository's root. Generated from
`workflow/schemas/config.schema.yaml` by `python -m blemish.reference`.

| key | value | meaning | default |
|---|---|---|---|
"""


def document() -> str:
    """The text of config/README.md."""
    defaults: dict = {}
    for name in FILES:
        defaults |= yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    rows = [
        f"| `{key}` | {kind(node)} | {node.get('description', '')} | {_default(default)} |"
        for key, node, default in _walk(schema(), schema()["$defs"], defaults, "")
    ]
    return HEAD + "\n".join(row.replace("\n", " ") for row in rows) + "\n"


def _walk(node: dict, defs: dict, default: object, prefix: str) -> Iterator[tuple[str, dict, object]]:
    """(dotted key, its schema, its default) of every key, in the schema's order."""
    for name, child in node.get("properties", {}).items():
        if "$ref" in child:
            child = defs[child["$ref"].rsplit("/", 1)[1]] | {k: v for k, v in child.items() if k != "$ref"}
        value = default.get(name) if isinstance(default, dict) else None
        yield prefix + name, child, value
        yield from _walk(child, defs, value, f"{prefix}{name}.")
        if isinstance(child.get("additionalProperties"), dict):
            yield from _walk(child["additionalProperties"], defs, None, f"{prefix}{name}.*.")


def _default(value: object) -> str:
    return "" if value is None or isinstance(value, dict) or len(str(value)) > 60 else f"`{value}`"


if __name__ == "__main__":
    TARGET.write_text(document())

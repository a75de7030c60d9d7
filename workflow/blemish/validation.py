"""Checks the configuration before anything runs: a mistake becomes one sentence that names file, key and cure.

The Snakefile imports this module, so no library of networks or tables is imported here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from os import PathLike
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from blemish import experiments
from blemish.corruption import methods
from blemish.errors import UserError
from blemish.words import closest

ROOT = Path(__file__).parents[2]
# `pip install` puts copies of what the commands need beside code into the package.
HOME = ROOT if (ROOT / "Snakefile").is_file() else Path(__file__).parent / "home"
SCHEMA = HOME / "workflow" / "schemas" / "config.schema.yaml"
COMMAND_LINE = "the command line (--config)"
LONGEST = 60  # characters of a value that a message quotes

MISSING = object()

Keys = tuple[str | int, ...]


class Mistake(Exception):
    """What is wrong with the value at `keys`, the way there from the top."""

    def __init__(self, keys: Keys, what: str):
        super().__init__(what)
        self.keys = keys


def check(config: Mapping, files: Sequence[str | PathLike]) -> None:
    """Checks a merged configuration: first that no file names a key twice, then the schema, then what its parts
    say of each other.

    Args:
        config: what Snakemake merged.
        files: the files it comes from; the later ones have the last word.

    Raises:
        UserError: names the first mistake with its file and key, and what is allowed there.
    """
    contents = {}
    for file in files:
        try:
            contents[file] = _read(file)
        except Mistake as mistake:
            raise UserError(_sentence(str(file), mistake)) from None
    try:
        _check_values((), config)
        _check_schema((), config, schema())
        _check_sense(config)
    except Mistake as mistake:
        raise UserError(_sentence(_origin(mistake.keys, config, contents), mistake)) from None


def check_recipe(name: str, recipe: Mapping, steps: int, file: str | PathLike) -> None:
    """Checks one recipe: its method, its step of the `steps` of DDIM, the method's own parameters.

    Raises:
        UserError: names the mistake, where it stands (`file`), and what is allowed there.
    """
    try:
        _check_recipe(("recipes", name), recipe, steps)
    except Mistake as mistake:
        raise UserError(_sentence(str(file), mistake)) from None


@cache
def schema() -> dict:
    """The schema of the configuration."""
    return yaml.safe_load(SCHEMA.read_text())


def kind(node: Mapping) -> str:
    """What values a key of the schema takes, in a few characters."""
    if "enum" in node:
        return " / ".join("null" if v is None else str(v) for v in node["enum"])
    kinds = node.get("type", "")
    text = " or ".join(kinds) if isinstance(kinds, list) else kinds
    low = node.get("minimum", node.get("exclusiveMinimum"))
    if low is not None:
        text += f", {'above' if 'exclusiveMinimum' in node else 'from'} {low}"
    high = node.get("maximum", node.get("exclusiveMaximum"))
    return text if high is None else f"{text} to {'below ' if 'exclusiveMaximum' in node else ''}{high}"


def _sentence(file: str, mistake: Mistake) -> str:
    return f"{file}: {'.'.join(map(str, mistake.keys)) or 'the configuration'} {mistake}."


def _origin(keys: Keys, config: Mapping, contents: Mapping[str, object]) -> str:
    """The file that the value at `keys` comes from; for one that is missing, that its section comes from."""
    for length in range(len(keys), 0, -1):
        value = _at(keys[:length], config)
        for file, content in reversed(contents.items()):
            found = _at(keys[:length], content)
            sections = isinstance(found, Mapping) and isinstance(value, Mapping)
            if found is not MISSING and (sections or found == value or value != value):  # nan is not nan
                return str(file)
        if value is not MISSING:
            return COMMAND_LINE
    return str(next(iter(contents), COMMAND_LINE))


def _at(keys: Keys, node: object) -> object:
    for key in keys:
        inside = key in node if isinstance(node, Mapping) else isinstance(node, list) and key in range(len(node))
        if not inside:
            return MISSING
        node = node[key]
    return node


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML in which no section holds a key twice; the last one would silently win."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                line = key.start_mark.line + 1
                raise Mistake((str(key.value),), f"stands twice in one section, the second time in line {line}")
            seen.add(key.value if isinstance(key.value, str) else id(key))
        return super().construct_mapping(node, deep)


def _read(file: str | PathLike) -> object:
    try:
        return yaml.load(Path(file).read_text(), _Loader)
    except (OSError, yaml.YAMLError):
        return None  # Snakemake, which read it before, knows more formats than YAML


def _check_values(keys: Keys, node: object) -> None:
    """What JSON Schema does not see: keys that are no text, numbers that are none."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not isinstance(key, str):
                raise Mistake(keys, f"has the key {key!r}, which is no text: put it in quotes")
            _check_values((*keys, key), value)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            _check_values((*keys, i), value)
    elif isinstance(node, float) and not math.isfinite(node):
        raise Mistake(keys, f"is {node}, which is no finite number")


def _check_schema(keys: Keys, node: object, rules: Mapping) -> None:
    """Raises the mistake that explains most: a key too many before one that is missing, an outer one first."""
    errors = list(Draft202012Validator(rules).iter_errors(node))
    if errors:
        raise _explain(keys, min(errors, key=lambda e: (e.validator != "additionalProperties", len(e.absolute_path))))


def _explain(above: Keys, error: ValidationError) -> Mistake:
    keys, node, value = (*above, *error.absolute_path), error.schema, error.instance
    if error.validator == "additionalProperties":
        name = min(set(value) - set(node["properties"]))
        return Mistake((*keys, name), f"is no key of the configuration{_choice(name, node['properties'])}")
    if error.validator == "required":
        name = next(name for name in node["required"] if name not in value)
        about = node.get("properties", {}).get(name, {}).get("description", "")
        return Mistake((*keys, name), f"is missing{f' ({_inline(about)})' if about else ''}")
    if "propertyNames" in error.absolute_schema_path:
        return Mistake((*keys, value), f"cannot be a name: {_inline(node.get('description', kind(node)))}")
    if error.validator == "enum":
        return Mistake(keys, f"is {_shown(value)}{_choice(value, list(map(_shown, node['enum'])))}")
    return Mistake(keys, f"is {_shown(value)}{_as_number(value, node)}; allowed: {_allowed(error)}")


def _allowed(error: ValidationError) -> str:
    node, bound = error.schema, error.validator_value
    words = {
        "minItems": f"a list of at least {bound}",
        "maxItems": f"a list of at most {bound}",
        "uniqueItems": "a list without repetition",
        "minLength": "text that is not empty",
        "minProperties": f"a section of at least {bound}",
        "multipleOf": f"a multiple of {bound}",
    }
    names = {
        "object": "a section of keys",
        "array": "a list",
        "string": "text",
        "null": "null",
        "boolean": "true / false",
    }
    if error.validator in words:
        allowed = words[error.validator]
    elif error.validator == "type" and set(names) & set(wanted := [bound] if isinstance(bound, str) else bound):
        allowed = " or ".join(names.get(name, name) for name in wanted)
    else:
        allowed = kind(node)
    about = node.get("description")
    return f"{allowed} ({_inline(about)})" if about else allowed


def _as_number(value: object, node: Mapping) -> str:
    """A hint for numbers that YAML 1.1 reads as text."""
    if not isinstance(value, str) or not any(name in node.get("type", "") for name in ("number", "integer")):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    return f" (text to YAML; as a number: {yaml.safe_dump(number).split()[0]})" if math.isfinite(number) else ""


def _choice(value: object, names: Sequence[str]) -> str:
    return f"{closest(value, names)}; allowed: {', '.join(names)}"


def _shown(value: object) -> str:
    text = "null" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split())
    return f"{text[:LONGEST]}..." if len(text) > LONGEST else text or "empty"


def _inline(description: str) -> str:
    return description.rstrip(".")


def _check_sense(config: Mapping) -> None:
    for mistake in _contradictions(config):
        raise mistake
    for name, recipe in config["recipes"].items():
        _check_recipe(("recipes", name), recipe, config["inversion"]["steps"])
    known = (config["recipes"], config["backbones"], ["richhf-100", *config["pools"]])
    for name, table in config["tables"].items():
        try:
            experiments.check({name: table}, *known)
        except UserError as error:
            raise Mistake(("tables", name), f"has a fault: {str(error).removeprefix('tables: ').rstrip('.')}") from None


def _contradictions(config: Mapping) -> Iterator[Mistake]:
    """Values that are allowed each by itself, and not together."""
    labels, hps, detectors = config["labels"], config["pools"]["hps"], config["detectors"]
    if labels["votes"] > labels["annotators"]:
        yield Mistake(("labels", "votes"), f"is {labels['votes']} of only {labels['annotators']} labels.annotators")
    if hps["shards"] > hps["count"]:
        yield Mistake(("pools", "hps", "shards"), f"is {hps['shards']} parts of only {hps['count']} images")
    if config["device"] == "cpu" and detectors["amp"]:
        yield Mistake(("detectors", "amp"), f"is {detectors['amp']}, and must be null where device is cpu")
    if config["device"] == "cuda" and detectors["batch_size"] % config["gpus"]:
        gpus, size = config["gpus"], detectors["batch_size"]
        yield Mistake(("gpus",), f"is {gpus}, which cannot share a detectors.batch_size of {size} images equally")
    for name, table in config["tables"].items():
        levels = len(table["row_headers"])
        for i, row in enumerate(table["rows"]):
            if len(experiments.label(row)) != levels:
                keys = ("tables", name, "rows", i, "label")
                yield Mistake(keys, f"is {_shown(row['label'])}, and row_headers has {levels} levels")
    for name, table in config["published"].items():
        columns = len(table["columns"])
        for i, row in enumerate(table["rows"]):
            if len(row["values"]) != columns:
                keys = ("published", name, "rows", i, "values")
                yield Mistake(keys, f"has {len(row['values'])} numbers for {columns} columns")


def _check_recipe(keys: Keys, recipe: Mapping, steps: int) -> None:
    """A recipe's method, its step, and the method's own parameters, which its file describes."""
    if keys[-1] in experiments.LABELLED:
        raise Mistake(keys, f"cannot be a recipe's name: {' and '.join(experiments.LABELLED)} are supervisions already")
    method, known = recipe["method"], methods.methods()
    if method not in known:
        raise Mistake((*keys, "method"), f"is {_shown(method)}, which is no corruption method{_choice(method, known)}")
    own = methods.parameters(method)
    shared = {"method": {}, "step": {"type": "integer", "minimum": 0, "maximum": steps, "description": STEP}}
    _check_schema(keys, recipe, {"additionalProperties": False, "properties": shared | own})


STEP = "0 inverts everything, inversion.steps nothing: that is the image latent"

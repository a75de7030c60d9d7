"""Checks the config before anything runs: a mistake becomes one sentence that names file, key and cure.

The Snakefile imports this module, so no library of networks or tables is imported here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, reduce
from operator import getitem
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import TypeAdapter, ValidationError

from blemish import experiments
from blemish.config.settings import Config
from blemish.corruption.settings import RECIPES, AnyRecipe
from blemish.errors import UserError
from blemish.jobs.fingerprint import canonical
from blemish.settings import NAMES, Settings
from blemish.words import closest

DETECTOR = "train_set/supervision/backbone, with a plain {name} for what over and across fill in"
COMMAND_LINE = "the command line (--config)"
LONGEST = 60  # characters of a value that a message quotes
RESERVED = ("richhf-human", "train", "test", "human")  # files of results/*/sets; no pool may be called so
WORDS = {"object": "a section of keys", "array": "a list", "string": "text", "null": "null", "boolean": "true / false"}
MISSING = object()

Keys = tuple[str | int, ...]


class Mistake(Exception):
    """What is wrong with the value at `keys`, the way there from the top; maybe because of what stands at others."""

    def __init__(self, keys: Keys, what: str, *because: Keys):
        super().__init__(what)
        self.keys, self.because = keys, because


def check(config: Mapping, files: Sequence[str | PathLike]) -> None:
    """Checks a merged configuration: that no file names a key twice, every value, what values say of each other.

    Args:
        config: what Snakemake merged.
        files: the files it comes from; the later ones have the last word.

    Raises:
        UserError: names the first mistake with its file and key, and what is allowed there.
    """
    contents = {file: read(file) for file in files}
    try:
        _check_values((), config)
        _check_model((), config, Config, schema())
        for mistake in _contradictions(config):
            raise mistake
    except Mistake as mistake:
        places = [*map(str, files), COMMAND_LINE]
        file = max((_origin(keys, config, contents) for keys in (mistake.keys, *mistake.because)), key=places.index)
        raise UserError(_sentence(file, mistake, _nested_text(file, mistake.keys, config))) from None


def check_recipe(name: str, recipe: Mapping, steps: int, file: str | PathLike) -> None:
    """Checks one recipe: its method, its step of the `steps` of DDIM, the method's own parameters.

    Raises:
        UserError: names the mistake, where it stands (`file`), and what is allowed there.
    """
    keys = ("recipes", name)
    try:
        _check_values(keys, recipe)
        _check_model(keys, recipe, AnyRecipe, reduce(child, keys, schema()))
        _check_recipe(keys, recipe, steps)
    except Mistake as mistake:
        raise UserError(_sentence(str(file), mistake)) from None


def read(file: str | PathLike) -> dict:
    """A config file, YAML or JSON.

    Raises:
        UserError: it is missing, neither of them, holds no keys, or one of them twice.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
        content = yaml.load(text, _Loader)
    except Mistake as mistake:
        raise UserError(_sentence(str(file), mistake)) from None
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing. Name config files that lie over config/config.yaml.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text. Save it as such.") from error
    except RecursionError as error:
        raise UserError(f"{file} nests its values too deeply. Correct it.") from error
    except yaml.YAMLError as error:
        try:
            content = json.loads(text)  # with tabs it is not YAML, and Snakemake takes it
        except (ValueError, RecursionError):
            mark = getattr(error, "problem_mark", None)
            problem = " ".join(str(getattr(error, "problem", None) or error).split())
            where = f" in line {mark.line + 1}" if mark else ""
            raise UserError(f"{file} is not YAML: {problem}{where}. Correct it.") from error
    if content is not None and not isinstance(content, dict):
        raise UserError(f"{file} holds {_shown(content)}, not keys with values. Correct it.")
    return content or {}


@cache
def schema(model: type[Settings] = Config) -> dict:
    """The JSON schema of a model, every reference replaced by what it refers to.

    What a reference says of its place stays; the description of the class that it refers to is under `class`.
    """
    whole = model.model_json_schema()
    definitions = whole.pop("$defs", {})

    def inline(node: object) -> object:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "mapping" in node:  # of a discriminator: value -> reference
            return node | {"mapping": {value: inline({"$ref": place}) for value, place in node["mapping"].items()}}
        node = {key: inline(value) for key, value in node.items()}
        if "$ref" not in node:
            return node
        named = inline(definitions[node.pop("$ref").rsplit("/", 1)[1]])
        return named | {"class": named.get("description", "")} | node

    return inline(whole)


def child(node: Mapping, key: str | int) -> dict:
    """What the schema says of the value at a key of a node; {} where it says nothing."""
    if isinstance(key, int):
        places = node.get("prefixItems", [])
        inside = places[key] if key < len(places) else node.get("items")
    elif key in node.get("properties", {}):
        inside = node["properties"][key]
    else:
        inside = others(node)
    if isinstance(inside, dict):
        return inside
    return next(filter(None, (child(way, key) for way in node.get("anyOf", []))), {})


def others(node: Mapping) -> dict | None:
    """What the schema says of the values at keys that a node does not name."""
    inside = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties"))
    return inside if isinstance(inside, dict) else None


def ways(node: dict) -> list[dict]:
    """The ways to read a value that the schema allows, null first; one, where it gives no choice."""
    choices = node.get("anyOf", node.get("oneOf", [node]))
    return sorted(choices, key=lambda choice: choice.get("type") != "null")


def kind(node: Mapping) -> str:
    """What values a key of the schema takes, in a few characters."""
    choices = ways(node)
    if len(choices) > 1:
        between = " / " if any("enum" in choice for choice in choices) else " or "
        return between.join(dict.fromkeys(map(kind, choices)))
    node = choices[0]
    if "enum" in node:
        return " / ".join(map(str, node["enum"]))
    if "const" in node:
        return str(node["const"])
    text = node.get("type", "")
    if "multipleOf" in node:
        text += f", a multiple of {node['multipleOf']}"
    low = node.get("minimum", node.get("exclusiveMinimum"))
    if low is not None:
        text += f", {'above' if 'exclusiveMinimum' in node else 'from'} {low}"
    high = node.get("maximum", node.get("exclusiveMaximum"))
    return text if high is None else f"{text} to {'below ' if 'exclusiveMaximum' in node else ''}{high}"


def about(node: Mapping) -> str:
    """The first paragraph of a node's description, without its full stop."""
    return " ".join(node.get("description", "").partition("\n\n")[0].split()).rstrip(".")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML of plain values: each as its tag says, none within itself, no key twice (the last would silently win)."""

    def construct_object(self, node, deep=False):
        line = f"line {node.start_mark.line + 1}"
        if node in self.recursive_objects:
            raise Mistake((), f"holds in {line} a value that contains itself by an alias")
        try:
            return super().construct_object(node, deep=True)
        except (ValueError, TypeError, LookupError, AttributeError):  # of a date with a month 13, say
            kind = node.tag.rpartition(":")[2]
            raise Mistake((), f"holds in {line} what cannot be read as {kind}: put text in quotes") from None

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            line = f"line {key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise Mistake((), f"holds in {line} a list or a section as a key; allowed: text")
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise Mistake((key.value,), f"stands twice in one section, the second time in {line}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _sentence(file: str, mistake: Mistake, hint: str = "") -> str:
    return f"{file}: {'.'.join(map(str, mistake.keys)) or 'the configuration'} {mistake}{hint}."


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
    try:
        return reduce(getitem, keys, node)
    except (KeyError, IndexError, TypeError):
        return MISSING


def _nested_text(file: str, keys: Keys, config: Mapping) -> str:
    """What to do about a number of the command line: Snakemake reads what is nested there as text."""
    text = isinstance(_at(keys, config), str) and len(keys) > 1 and file == COMMAND_LINE
    if not text or any(map(_takes_text, ways(reduce(child, keys, schema())))):
        return ""
    return "; what is nested in --config is always text: write it into a file for --configfile"


def _takes_text(way: Mapping) -> bool:
    return way.get("type") == "string" and "const" not in way


def _check_values(keys: Keys, node: object) -> None:
    """What the models do not see: keys that are not text, numbers that are not finite."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not isinstance(key, str):
                raise Mistake(keys, f"has the key {key!r}, which is not text: put it in quotes")
            _check_values((*keys, key), value)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            _check_values((*keys, i), value)
    elif isinstance(node, float) and not math.isfinite(node):
        raise Mistake(keys, f"is {node}, which is not a finite number")


def _check_model(above: Keys, value: object, model: object, node: dict) -> None:
    """Checks the value at `above` by a model; `node` is what the schema says of it.

    Raises:
        Mistake: the one that explains most: a key too many before one that is missing, an outer one first.
    """
    try:
        TypeAdapter(model).validate_python(canonical(value))
    except ValidationError as errors:
        faults = [_locate(error, value, node) for error in errors.errors(include_url=False)]
        furthest: dict[Keys | None, int] = {}  # of the ways to read one value, the way that led furthest into it
        for fault in faults:
            furthest[fault.choice] = max(len(fault.keys), furthest.get(fault.choice, 0))
        faults = [f for f in faults if f.choice is None or len(f.keys) == furthest[f.choice]]
        raise _explain(min(faults, key=lambda f: (f.type != "extra_forbidden", len(f.keys))), above) from None


class _Fault(NamedTuple):
    """An error of pydantic's, at its place."""

    type: str
    keys: Keys  # of the value that is wrong; of the section, where a key is wrong or missing
    value: object
    node: dict  # what the schema says of it
    key: str | int  # where a key is wrong or missing
    bounds: Mapping
    choice: Keys | None  # of the value that can be read in several ways, of which one failed here


def _locate(error: Mapping, value: object, node: dict) -> _Fault:
    """Where in a value, and in what the schema says of it, one of pydantic's errors lies."""
    fault, path, choice = error["type"], list(error["loc"]), None
    keys: Keys = ()
    if path and path[-1] == "[key]":
        fault = "name"
        path.pop()
    key = path.pop() if path and fault in ("missing", "extra_forbidden", "name") else ""
    for part in path:
        if "discriminator" in node:
            node = node["discriminator"]["mapping"][part]
        elif (inside := _at((part,), value)) is MISSING:  # not a key, but one of several ways to read the value
            choice = keys
        else:
            keys, value, node = (*keys, part), inside, child(node, part)
    if fault == "string_pattern_mismatch" and keys and error["input"] == keys[-1] != value:
        return _Fault("name", keys[:-1], None, {}, keys[-1], {}, None)
    return _Fault(fault, keys, value, node, key, error.get("ctx", {}), choice)


def _explain(fault: _Fault, above: Keys) -> Mistake:
    """A fault in our words; `above` is where the checked value stands."""
    keys, value, node = (*above, *fault.keys), fault.value, fault.node
    if fault.type == "extra_forbidden":
        names = node["properties"]
        method = f" for the method {value['method']}" if "method" in names else ""
        what = f"is not a key of the configuration{method}{_choice(fault.key, names)}"
        return Mistake((*keys, fault.key), what, *([(*keys, "method")] if method else []))
    if fault.type == "missing" and isinstance(fault.key, str):
        return _missing((*keys, fault.key), child(node, fault.key))
    if fault.type == "name":
        return Mistake((*keys, fault.key), f"cannot be a name: {NAMES.rstrip('.')}")
    if fault.type.startswith("union_tag"):
        keys, method = (*keys, "method"), _at(("method",), value)
        if method is MISSING:
            return _missing(keys, child(ways(node)[0], "method"))
        return Mistake(keys, f"is {_shown(method)}, which is not a corruption method{_choice(method, RECIPES)}")
    choices = ways(node)
    if any("enum" in way for way in choices):
        names = [_shown(name) for way in choices for name in way.get("enum", [None])]
        return Mistake(keys, f"is {_shown(value)}{_choice(value, names)}")
    allowed = f"{_allowed(fault, choices)}{f' ({about(node)})' if about(node) else ''}"
    return Mistake(keys, f"is {_shown(value)}{_as_number(value, choices)}; allowed: {allowed}")


def _missing(keys: Keys, node: Mapping) -> Mistake:
    return Mistake(keys, f"is missing{f' ({about(node)})' if about(node) else ''}")


def _allowed(fault: _Fault, choices: Sequence[Mapping]) -> str:
    """What may stand where a fault is."""
    bounds, way = fault.bounds, choices[-1]
    if "prefixItems" in way and isinstance(fault.value, list):
        return f"a list of {len(way['prefixItems'])}"
    if fault.type == "too_short":
        return f"a {'section' if isinstance(fault.value, Mapping) else 'list'} of at least {bounds['min_length']}"
    if fault.type == "too_long":
        return f"a list of at most {bounds['max_length']}"
    if fault.type == "string_too_short":
        return "text that is not empty"
    if fault.type == "string_pattern_mismatch":
        return "text of this form"  # which the description gives
    words = (kind(way) if "const" in way else WORDS.get(way.get("type"), kind(way)) for way in choices)
    return " or ".join(dict.fromkeys(words))


def _as_number(value: object, choices: Sequence[Mapping]) -> str:
    """A hint for numbers that YAML 1.1 reads as text."""
    asked = any(way.get("type") in ("number", "integer") for way in choices)
    with suppress(ValueError):
        if asked and isinstance(value, str) and math.isfinite(number := float(value)):
            number = int(number) if number.is_integer() and "e" not in value.lower() else number
            return f" (text to YAML; as a number: {yaml.safe_dump(number).split()[0]})"
    return ""


def _choice(value: object, names: Iterable[str]) -> str:
    return f"{closest(value, names)}; allowed: {', '.join(names)}"


def _shown(value: object) -> str:
    text = "null" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split())
    return f"{text[:LONGEST]}..." if len(text) > LONGEST else text or "empty"


def _contradictions(config: Mapping) -> Iterator[Mistake]:
    """Values that are allowed each by itself and not together, and names of what is not there."""
    labels, hps, detectors = config["labels"], config["pools"]["hps"], config["detectors"]
    if labels["votes"] > labels["annotators"]:
        what = f"is {labels['votes']} of only {labels['annotators']} labels.annotators"
        yield Mistake(("labels", "votes"), what, ("labels", "annotators"))
    if hps["shards"] > hps["count"]:
        what = f"is {hps['shards']} parts of only {hps['count']} images"
        yield Mistake(("pools", "hps", "shards"), what, ("pools", "hps", "count"))
    if len(set(detectors["seeds"])) < len(detectors["seeds"]):
        yield Mistake(("detectors", "seeds"), f"is {_shown(detectors['seeds'])}; allowed: a list without repetition")
    if config["device"] == "cpu" and detectors["amp"]:
        what = f"is {detectors['amp']}, and must be null where device is cpu"
        yield Mistake(("detectors", "amp"), what, ("device",))
    if config["device"] == "cuda" and detectors["batch_size"] % detectors["gpus"]:
        images = f"a detectors.batch_size of {detectors['batch_size']} images"
        what = f"is {detectors['gpus']}, which cannot share {images} equally"
        yield Mistake(("detectors", "gpus"), what, ("device",), ("detectors", "batch_size"))
    for iterations in ("iterations", "selector_iterations"):
        rises = round(detectors["warmup"] * detectors[iterations])
        if detectors["decay"] and detectors["decay"] <= rises:
            what = f"is {detectors['decay']}, and the learning rate still rises until iteration {rises}"
            yield Mistake(("detectors", "decay"), what, ("detectors", "warmup"), ("detectors", iterations))
    if detectors["rescale"] and detectors["rescale"][0] > detectors["rescale"][1]:
        yield Mistake(("detectors", "rescale"), f"is {_shown(detectors['rescale'])}; allowed: the smaller factor first")
    for name in RESERVED:
        if name in config["pools"]:
            yield Mistake(("pools", name), f"cannot be a pool's name: {', '.join(RESERVED)} are sets already")
    for name, recipe in config["recipes"].items():
        _check_recipe(("recipes", name), recipe, config["schedule"]["steps"])
    yield from _check_names(config)


def _check_recipe(keys: Keys, recipe: Mapping, steps: int) -> None:
    """Raises a mistake if a recipe has the name of another supervision, or a step that the schedule lacks."""
    if keys[-1] in experiments.LABELLED:
        names = " and ".join(experiments.LABELLED)
        raise Mistake(keys, f"cannot be a recipe's name: {names} are supervisions already")
    if recipe["step"] > steps:
        node = child(ways(reduce(child, keys, schema()))[0], "step")
        what = f"is {recipe['step']}; allowed: {kind(node)} to {steps} ({about(node)})"
        raise Mistake((*keys, "step"), what, ("schedule", "steps"))


def _check_names(config: Mapping) -> Iterator[Mistake]:
    """What figures, tables, published numbers and claims name and the config lacks, and rows that do not fit."""
    recipes, tables, figures = config["recipes"], config["tables"], config["figures"]
    shown = [(("recipe",), figures["recipe"])]
    shown += [((part, i), name) for part in ("methods", "targets") for i, name in enumerate(figures[part])]
    for keys, name in shown:
        if name not in recipes:
            yield Mistake(("figures", *keys), f"is {_shown(name)}, which is not a recipe{_choice(name, recipes)}")
    if (name := figures["steps"]) not in tables:
        yield Mistake(("figures", "steps"), f"is {_shown(name)}, which is not a table{_choice(name, tables)}")
    known = (["richhf-human", *config["pools"]], [*experiments.LABELLED, *recipes], list(config["backbones"]))
    for name, table in tables.items():
        levels = len(table["row_headers"])
        for i, row in enumerate(table["rows"]):
            if len(experiments.label(row)) != levels:
                what = f"is {_shown(row['label'])}, and row_headers has {levels} levels"
                yield Mistake(("tables", name, "rows", i, "label"), what)
        try:
            for row, column, detector in experiments.walk(table):
                for unknown in _unknown(detector, known):
                    yield Mistake(("tables", name), f"has a fault: {experiments.place(row, column)}: {unknown}")
        except UserError as error:
            yield Mistake(("tables", name), f"has a fault: {str(error).removeprefix('tables: ').rstrip('.')}")
    for name, table in config["published"].items():
        if name not in tables:
            yield Mistake(("published", name), f"is not a table{_choice(name, tables)}")
        columns = len(table["columns"])
        for i, row in enumerate(table["rows"]):
            if len(row["values"]) != columns:
                what = f"has {len(row['values'])} numbers for {columns} columns"
                yield Mistake(("published", name, "rows", i, "values"), what)
    for name, claim in config["claims"].items():
        yield from _check_claim(("claims", name), claim, known)


def _unknown(detector: Sequence[str], known: Sequence[Sequence[str]]) -> Iterator[str]:
    """Names of a detector that are not among the `known` train sets, supervisions and backbones."""
    for field, name, names in zip(experiments.Detector._fields, detector, known, strict=True):
        if name not in names:
            yield f"unknown {field} {name!r}{_choice(name, names)}"


def _check_claim(keys: Keys, claim: Mapping, known: Sequence[Sequence[str]]) -> Iterator[Mistake]:
    """What is wrong with a claim; `known` has the train sets, supervisions and backbones."""
    forms = sorted({"order", "all", "mean", "above"} & set(claim))
    if forms not in (["order"], ["above", "all"], ["above", "mean"]):
        has = ", ".join(forms) or "no comparison"
        yield Mistake(keys, f"has {has}; allowed: order, or all and above, or mean and above")
    for filled in experiments.combinations(claim.get("over", {}) | claim.get("across", {})):
        for place, text in (((*keys, form, i), text) for form in forms for i, text in enumerate(claim[form])):
            # Of what `str.format` takes, `{name:>999999999}` would use up the memory.
            names = re.sub(r"\{([^\W\d]\w*)\}", lambda name, of=filled: of.get(name[1], name[0]), text).split("/")
            if re.search("[{}]", "".join(names)) or len(names) != len(known):
                axes = ", ".join(filled) or "nothing"
                yield Mistake(place, f"is {text}, and over and across fill in {axes}; allowed: {DETECTOR}")
                return
            for unknown in _unknown(names, known):
                yield Mistake(place, f"is {text}: {unknown}")

"""What follows from the settings' models, and what must agree with them: documents, comments, messages."""

import ast
import json
import re

import jsonschema
import pytest
import yaml

from blemish.config import reference
from blemish.config.check import about, others, read, schema
from blemish.config.load import ROOT, base, load
from blemish.config.settings import Config
from blemish.miniworld.settings import Miniworld

KEYS = {key.name: key.node for key in reference.keys(schema())}
EVERY = KEYS | {key.name: key.node for key in reference.keys(schema(Miniworld))}
SECTION = re.compile(r"§\d(?:\.\d)?")
OVERLAYS = [ROOT / "config" / f"{name}.yaml" for name in ("mini", "test")]
SUFFIXES = ("yaml", "json", "csv", "md", "py", "txt", "parquet", "safetensors", "png", "pdf", "html", "pth", "tar")


@pytest.mark.parametrize("path", reference.documents(), ids=lambda path: path.name)
def test_what_is_generated_is_current(path):
    assert path.read_text(encoding="utf-8") == reference.documents()[path], "run make docs"


def test_every_key_is_described():
    for name, node in EVERY.items():
        assert about(node), name


def test_an_assumption_gives_its_reason():
    for name, reason in reference.assumptions():
        assert len(reason.split()) > 3 and reason.endswith("."), name


def test_every_assume_of_the_models_is_in_the_list():
    """Counted without the generator: the word at a paragraph's start."""
    package = ROOT / "workflow/blemish"
    files = [*package.rglob("settings.py"), *(package / "corruption/methods").glob("*.py")]
    marks = sum(len(re.findall(r'^\s*"?ASSUME: ', path.read_text(), re.MULTILINE)) for path in files)
    assert marks == len(list(reference.assumptions())) > 20


def lines_of(node, prefix=""):
    """(line, dotted key) of every key of a YAML file."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = prefix + key.value
        yield key.start_mark.line, name
        yield from lines_of(value, f"{name}.")


def described(name):
    """What the schema says of a key; a name that is free has nothing of its own."""
    *above, last = name.split(".")
    node = schema()
    for part in above:
        node = node.get("properties", {}).get(part) or others(node)
    return node.get("properties", {}).get(last, {})


def test_a_comment_names_the_section_or_the_assumption_and_so_does_the_model():
    text = (ROOT / "config/config.yaml").read_text()
    lines = text.splitlines()
    for number, name in lines_of(yaml.compose(text)):
        comment, node = lines[number].partition("#")[2], described(name)
        assert SECTION.findall(comment) == SECTION.findall(about(node)), name
        assert ("ASSUME" in comment) == ("ASSUME: " in node.get("description", "")), name


@pytest.mark.parametrize("path", [*base(), *OVERLAYS, ROOT / "config/miniworld.yaml"], ids=lambda path: path.name)
def test_every_file_is_valid_by_itself_in_an_editor(path):
    first, *_ = path.read_text().splitlines()
    rules = json.loads((path.parent / re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)[1]).read_text())
    jsonschema.Draft202012Validator.check_schema(rules)
    jsonschema.validate(read(path), rules)


def test_an_editor_sees_a_misspelt_key_and_a_wrong_value():
    rules = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    for wrong in ({"detector": {}}, {"detectors": {"lr": -1}}, {"recipes": {"blur-30": {"sigma": "wide"}}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, rules)


def test_the_miniworlds_config_is_valid():
    Miniworld.model_validate(read(ROOT / "config/miniworld.yaml"))


def test_a_section_of_the_config_makes_its_settings():
    config = load(OVERLAYS)
    made = Config.model_validate(config)
    assert made.renoise.average_early == tuple(config["renoise"]["average_early"])
    assert made.recipes["blur-30"].sigma == config["recipes"]["blur-30"]["sigma"]
    with pytest.raises(ValueError, match="frozen"):
        made.seed = 1


def messages():
    """(file, text) of every text of the package with a space in it that is neither a docstring nor a program."""
    for path in sorted((ROOT / "workflow/blemish").rglob("*.py")):
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and id(node) not in docstrings
                and " " in str(node.value)
                and "import " not in str(node.value)
            ):
                yield path.relative_to(ROOT), str(node.value)


def test_every_key_that_a_message_names_exists():
    found = set()
    for file, text in messages():
        for name in re.findall(r"(?<![\w./*{-])[a-z_]\w*(?:\.[a-z_]\w*)+(?![\w/(*]|\.\w)", text):
            if name.rsplit(".", 1)[1] not in SUFFIXES and not name.startswith("blemish."):
                found.add(name)
                assert name in KEYS, f"{file}: {text}"
    assert len(found) > 5

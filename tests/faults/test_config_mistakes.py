"""Every kind of mistake in a configuration, made at random: one sentence with file, key and cure, never a traceback."""

import copy
import string
from collections import Counter

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config

from blemish import reference, validation
from blemish.errors import UserError

FILES = reference.FILES
CONTENTS = {name: yaml.safe_load((reference.ROOT / f"config/{name}.yaml").read_text()) for name in FILES}
SCHEMA = validation.schema()
TRIED = Counter()


def resolve(node):
    return SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]] | node if "$ref" in node else node


def walk(value, node, keys=()):
    """(keys, value, its schema) of all that the schema describes, lists included."""
    node = resolve(node)
    yield keys, value, node
    if isinstance(value, dict):
        for key, child in value.items():
            about = node.get("properties", {}).get(key, node.get("additionalProperties"))
            if isinstance(about, dict):
                yield from walk(child, about, (*keys, key))
    elif isinstance(value, list) and "items" in node:
        for i, child in enumerate(value):
            yield from walk(child, node["items"], (*keys, i))


PLACES = [(name, *place) for name in FILES for place in walk(CONTENTS[name], SCHEMA)]
CLOSED = [p for p in PLACES if p[2] and isinstance(p[2], dict) and p[3].get("additionalProperties") is False]
VALUES = [p for p in PLACES if (p[1] and p[3].get("type")) or "enum" in p[3]]
BOUNDED = [p for p in VALUES if {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"} & set(p[3])]
REQUIRED = [(p, key) for p in PLACES if isinstance(p[2], dict) for key in p[3].get("required", []) if key in p[2]]
RECIPES = list(CONTENTS["corruptions"]["recipes"])


def tried(examples):
    return settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    for name, content in CONTENTS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder


def complaint(folder, name, change, keys=()):
    """What the check says when `change` was made to the section at `keys` of one file; None if nothing."""
    contents = {**CONTENTS, name: copy.deepcopy(CONTENTS[name])}
    section = contents[name]
    for key in keys:
        section = section[key]
    change(section)
    changed = folder / "changed" / f"{name}.yaml"
    changed.parent.mkdir(exist_ok=True)
    changed.write_text(yaml.dump(contents[name], Dumper=yaml.CSafeDumper))
    merged = {}
    for content in contents.values():
        update_config(merged, copy.deepcopy(content))
    files = [changed if file == name else folder / f"{file}.yaml" for file in FILES]
    try:
        validation.check(merged, files)
    except UserError as error:
        sentence = str(error)
        assert sentence.startswith(f"{changed}: "), sentence
        assert "\n" not in sentence and sentence.endswith(".")
        return sentence
    return None


def dotted(keys):
    return ".".join(map(str, keys))


def misspell(draw, word):
    letters = string.ascii_lowercase + "_"
    i, letter = draw(st.integers(0, len(word) - 1)), draw(st.sampled_from(letters))
    wrong = draw(
        st.sampled_from([word[:i] + word[i + 1 :], word[:i] + letter + word[i:], word[:i] + letter + word[i + 1 :]])
    )
    assume(wrong and wrong != word)
    return wrong


@pytest.mark.parametrize("overlays", [(), ("mini",), ("mini", "test")])
def test_the_configs_of_the_repository_are_right(overlays):
    files = [reference.ROOT / f"config/{name}.yaml" for name in (*FILES, *overlays)]
    merged = {}
    for file in files:
        update_config(merged, yaml.safe_load(file.read_text()))
    validation.check(merged, files)


@tried(150)
@given(data=st.data())
def test_a_misspelt_key(folder, data):
    name, keys, value, node = data.draw(st.sampled_from(CLOSED))
    right = data.draw(st.sampled_from(sorted(value)))
    wrong = misspell(data.draw, right)
    assume(wrong not in node["properties"])
    said = complaint(folder, name, lambda section: section.update({wrong: section.pop(right)}), keys)
    TRIED["misspelt keys"] += 1
    assert f": {dotted((*keys, wrong))} is no key of the configuration" in said
    assert right in said.partition("allowed: ")[2].rstrip(".").split(", ")
    if len(right) > 4:
        assert "did you mean" in said


OTHER = [None, True, "text", "", "7", -1, 0, 3, 2.5, 10**30, [], [1], ["a"], {}, {"a": 1}, float("nan"), float("inf")]


@tried(200)
@given(place=st.sampled_from(VALUES), value=st.sampled_from(OTHER))
def test_a_value_of_another_type(folder, place, value):
    name, keys, _, node = place
    said = complaint(folder, name, lambda section: section.__setitem__(keys[-1], value), keys[:-1])
    TRIED["values of another type"] += 1
    if not validation.Draft202012Validator(node | {"$defs": SCHEMA["$defs"]}).is_valid(value) or value != value:
        assert dotted(keys) in said, said
        TRIED["values of another type, refused"] += 1


@tried(70)
@given(place=st.sampled_from(BOUNDED), size=st.sampled_from([1, 2, 1000]), high=st.booleans())
def test_a_value_out_of_range(folder, place, size, high):
    name, keys, _, node = place
    low, top = (node.get(n, node.get(f"exclusive{n.capitalize()}")) for n in ("minimum", "maximum"))
    bound = top if high else low
    assume(bound is not None)
    value = bound + size if high else bound - size
    said = complaint(folder, name, lambda section: section.__setitem__(keys[-1], value), keys[:-1])
    TRIED["values out of range"] += 1
    assert f"{dotted(keys)} is {value}" in said and "allowed: " in said


@tried(70)
@given(place=st.sampled_from(REQUIRED))
def test_a_key_that_is_missing(folder, place):
    (name, keys, _, _), key = place
    assume(keys or len(CONTENTS[name]) > 1)
    said = complaint(folder, name, lambda section: section.pop(key), keys)
    TRIED["missing keys"] += 1
    assert f"{dotted((*keys, key))} is missing" in said


@tried(70)
@given(data=st.data())
def test_a_table_that_names_what_is_not_there(folder, data):
    table = data.draw(st.sampled_from(sorted(CONTENTS["tables"]["tables"])))
    part, field = data.draw(st.sampled_from([("rows", "supervision"), ("rows", "train_set"), ("columns", "backbone")]))
    entries = CONTENTS["tables"]["tables"][table][part]
    i = data.draw(st.sampled_from([i for i, entry in enumerate(entries) if field in entry] or [None]))
    assume(i is not None)
    right = entries[i][field]
    wrong = misspell(data.draw, right)
    said = complaint(folder, "tables", lambda entry: entry.update({field: wrong}), ("tables", table, part, i))
    TRIED["names in tables"] += 1
    assert f"tables.{table} " in said and f"unknown {field} {wrong!r}" in said and right in said


@tried(70)
@given(data=st.data())
def test_a_recipe_with_a_fault(folder, data):
    name = data.draw(st.sampled_from(RECIPES))
    recipe = CONTENTS["corruptions"]["recipes"][name]
    key = data.draw(st.sampled_from(sorted(recipe)))
    wrong = {
        "method": misspell(data.draw, recipe["method"]) if key == "method" else None,
        "step": data.draw(st.sampled_from([51, -1, 30.5, "thirty", None, 10**30])),
    }.get(key, data.draw(st.sampled_from([-1, "wide", None, 0.05, float("inf")])))
    said = complaint(folder, "corruptions", lambda section: section.update({key: wrong}), ("recipes", name))
    TRIED["recipes"] += 1
    assert (f"recipes.{name}.{key} is" in said and "allowed: " in said) or "finite" in said


def test_a_parameter_of_another_method(folder):
    said = complaint(folder, "corruptions", lambda recipe: recipe.update(degrees=90), ("recipes", "blur-30"))
    assert "recipes.blur-30.degrees is no key" in said and "allowed: method, step, sigma." in said


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("labels", "votes"), 3, None),
        (("labels", "annotators"), 1, "labels.votes is 2 of only 1"),
        (("pools", "hps", "shards"), 10001, "10001 parts of only 10000 images"),
        (("pools", "hps", "shards"), 0, "is 0; allowed: integer, from 1"),
        (("gpus",), 3, "cannot share a detectors.batch_size of 8"),
        (("device",), "cpu", "detectors.amp is bfloat16, and must be null"),
        (("detectors", "lr"), "6e-5", "as a number: 6.0e-05"),
        (("figures",), {5: 6}, "5, which is no text"),
        (("pathvars", "results"), "results/{pool}", "pathvars.results"),
    ],
)
def test_values_that_do_not_go_together(folder, keys, value, words):
    said = complaint(folder, "config", lambda section: section.update({keys[-1]: value}), keys[:-1])
    assert said is None if words is None else words in said


def test_labels_and_published_numbers_fit_their_tables(folder):
    said = complaint(folder, "published", lambda row: row["values"].pop(), ("published", "table1", "rows", 2))
    assert "published.table1.rows.2.values has 1 numbers for 2 columns" in said
    said = complaint(folder, "tables", lambda row: row.update(label="x"), ("tables", "table1", "rows", 2))
    assert "row_headers has 2 levels" in said


def test_a_recipe_is_not_called_like_a_supervision(folder):
    recipe = {"human": {"method": "blur", "step": 30}}
    assert "recipes.human cannot be" in complaint(folder, "corruptions", lambda s: s["recipes"].update(recipe))


def test_a_key_that_stands_twice(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("detectors: {lr: 1.0}\nseed: 1\ndetectors: {lr: 2.0}\n")
    with pytest.raises(UserError, match=r"mine.yaml: detectors stands twice in one section, .* line 3"):
        validation.check({}, [file])


def test_a_value_of_the_command_line(folder):
    merged = {}
    for content in CONTENTS.values():
        update_config(merged, copy.deepcopy(content))
    merged["device"] = "gpu"
    with pytest.raises(UserError, match=r"^the command line \(--config\): device is gpu, .*allowed: cuda, cpu\.$"):
        validation.check(merged, [folder / f"{name}.yaml" for name in FILES])


def test_enough_was_tried():
    """The figures of docs/faults.md; runs after the others."""
    print(dict(TRIED))
    assert len(TRIED) < 7 or sum(TRIED.values()) - TRIED["values of another type, refused"] >= 500

"""Every kind of mistake in a configuration, made at random: one sentence with file, key and cure, never a traceback."""

import copy
import string
from collections import Counter

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from blemish.config.check import about, check, child, read, schema, ways
from blemish.config.load import FILES, ROOT, base, load, merge
from blemish.errors import UserError

CONTENTS = {name: read(path) for name, path in zip(FILES, base(), strict=True)}
BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
TRIED = Counter()


def walk(value, node, keys=()):
    """(keys, value, what the schema says of it) of all that the schema describes, lists included."""
    yield keys, value, node
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        if about := child(node, key):
            yield from walk(item, about, (*keys, key))


PLACES = [(name, *place) for name in FILES for place in walk(CONTENTS[name], schema())]
CLOSED = [p for p in PLACES if p[2] and isinstance(p[2], dict) and p[3].get("additionalProperties") is False]
VALUES = [p for p in PLACES if p[1]]
BOUNDED = [p for p in VALUES if BOUNDS & set(ways(p[3])[-1])]
REQUIRED = [(p, key) for p in PLACES if isinstance(p[2], dict) for key in p[3].get("required", []) if key in p[2]]
RECIPES = list(CONTENTS["corruptions"]["recipes"])


def tried(examples):
    return settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    for name, content in CONTENTS.items():
        (folder / f"{name}.yaml").parent.mkdir(exist_ok=True)
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
    changed.parent.mkdir(parents=True, exist_ok=True)
    changed.write_text(yaml.dump(contents[name], Dumper=yaml.CSafeDumper))
    merged = merge(map(copy.deepcopy, contents.values()))
    files = [changed if file == name else folder / f"{file}.yaml" for file in FILES]
    try:
        check(merged, files)
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
    load(ROOT / f"config/{name}.yaml" for name in overlays)


@tried(150)
@given(data=st.data())
def test_a_misspelt_key(folder, data):
    name, keys, value, node = data.draw(st.sampled_from(CLOSED))
    right = data.draw(st.sampled_from(sorted(value)))
    wrong = misspell(data.draw, right)
    assume(wrong not in node["properties"])
    said = complaint(folder, name, lambda section: section.update({wrong: section.pop(right)}), keys)
    TRIED["misspelt keys"] += 1
    assert f": {dotted((*keys, wrong))} is not a key of the configuration" in said
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
    if not Draft202012Validator(node).is_valid(value) or value in (float("nan"), float("inf")) or value != value:
        assert dotted(keys) in said, said
        TRIED["values of another type, refused"] += 1


@tried(70)
@given(place=st.sampled_from(BOUNDED), size=st.sampled_from([1, 2, 1000]), high=st.booleans())
def test_a_value_out_of_range(folder, place, size, high):
    name, keys, _, node = place
    number = ways(node)[-1]
    low, top = (number.get(n, number.get(f"exclusive{n.capitalize()}")) for n in ("minimum", "maximum"))
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
    table = data.draw(st.sampled_from(sorted(CONTENTS["paper/tables"]["tables"])))
    part, field = data.draw(st.sampled_from([("rows", "supervision"), ("rows", "train_set"), ("columns", "backbone")]))
    entries = CONTENTS["paper/tables"]["tables"][table][part]
    i = data.draw(st.sampled_from([i for i, entry in enumerate(entries) if field in entry] or [None]))
    assume(i is not None)
    right = entries[i][field]
    wrong = misspell(data.draw, right)
    said = complaint(folder, "paper/tables", lambda entry: entry.update({field: wrong}), ("tables", table, part, i))
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


def test_a_recipe_that_is_not_a_section(folder):
    said = complaint(folder, "corruptions", lambda section: section.update({"blur-30": 5}), ("recipes",))
    assert said.endswith("recipes.blur-30 is 5; allowed: a section of keys.")


def test_a_parameter_of_another_method(folder):
    said = complaint(folder, "corruptions", lambda recipe: recipe.update(degrees=90), ("recipes", "blur-30"))
    assert "recipes.blur-30.degrees is not a key" in said and "allowed: method, step, sigma." in said


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("labels", "votes"), 3, None),
        (("labels", "annotators"), 1, "labels.votes is 2 of only 1"),
        (("pools", "hps", "shards"), 10001, "10001 parts of only 10000 images"),
        (("pools", "hps", "shards"), 0, "is 0; allowed: integer, from 1"),
        (("detectors", "gpus"), 3, "cannot share a detectors.batch_size of 8"),
        (("detectors", "decay"), 1000, "still rises until iteration 1000"),
        (("detectors", "rescale"), [2.0, 0.5], "the smaller factor first"),
        (("device",), "cpu", "detectors.amp is bfloat16, and must be null"),
        (("detectors", "lr"), "6e-5", "as a number: 6.0e-05"),
        (("figures",), {5: 6}, "5, which is not text"),
        (("pathvars", "results"), "results/{pool}", "pathvars.results"),
    ],
)
def test_values_that_do_not_go_together(folder, keys, value, words):
    said = complaint(folder, "config", lambda section: section.update({keys[-1]: value}), keys[:-1])
    assert said is None if words is None else words in said


def test_labels_and_published_numbers_fit_their_tables(folder):
    said = complaint(folder, "paper/published", lambda row: row["values"].pop(), ("published", "table1", "rows", 2))
    assert "published.table1.rows.2.values has 1 numbers for 2 columns" in said
    said = complaint(folder, "paper/tables", lambda row: row.update(label="x"), ("tables", "table1", "rows", 2))
    assert "row_headers has 2 levels" in said


def test_a_recipe_is_not_called_like_a_supervision(folder):
    recipe = {"human": {"method": "gaussian", "step": 30}}
    assert "recipes.human cannot be" in complaint(folder, "corruptions", lambda s: s["recipes"].update(recipe))


PATTERNS = [p for p in VALUES if any("pattern" in way for way in ways(p[3]))]


@pytest.mark.parametrize("place", PATTERNS, ids=lambda place: dotted(place[1]))
def test_a_text_of_the_wrong_form_is_told_in_words_what_is_allowed(folder, place):
    name, keys, _, node = place
    said = complaint(folder, name, lambda section: section.__setitem__(keys[-1], "{/}"), keys[:-1])
    assert about(node) and said.endswith(f"{dotted(keys)} is {{/}}; allowed: {said.partition('allowed: ')[2]}")
    assert f"text of this form ({about(node)})." in said


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        (
            {"recipes": {"blur-30": {"method": "gaussian"}}},
            "sigma is not a key of the configuration for the method gaussian",
        ),
        ({"device": "cpu"}, "detectors.amp is bfloat16, and must be null where device is cpu"),
        ({"labels": {"annotators": 1}}, "labels.votes is 2 of only 1"),
        ({"schedule": {"steps": 20}}, "step is 45; allowed: integer, from 0 to 20"),
        ({"pools": {"hps": {"count": 2}}}, "parts of only 2 images"),
        ({"detectors": {"batch_size": 7, "gpus": 1}}, None),
        ({"detectors": {"batch_size": 7}}, "cannot share a detectors.batch_size of 7"),
    ],
)
def test_the_file_of_the_value_that_made_another_wrong_is_named(tmp_path, overlay, words):
    """Over a file that changes gpus."""
    (tmp_path / "below.yaml").write_text("detectors: {gpus: 2}")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
    if words is None:
        load([tmp_path / "below.yaml", tmp_path / "mine.yaml"])
        return
    with pytest.raises(UserError) as caught:
        load([tmp_path / "below.yaml", tmp_path / "mine.yaml"])
    assert str(caught.value).startswith(f"{tmp_path / 'mine.yaml'}: ") and words in str(caught.value)


def test_a_key_that_stands_twice(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("detectors: {lr: 1.0}\nseed: 1\ndetectors: {lr: 2.0}\n")
    with pytest.raises(UserError, match=r"mine.yaml: detectors stands twice in one section, .* line 3"):
        check({}, [file])


def test_a_value_of_the_command_line(folder):
    merged = merge(map(copy.deepcopy, CONTENTS.values()))
    merged["device"] = "gpu"
    with pytest.raises(UserError, match=r"^the command line \(--config\): device is gpu, .*allowed: cuda, cpu\.$"):
        check(merged, [folder / f"{name}.yaml" for name in FILES])


def test_a_nested_number_of_the_command_line_is_text_and_told_so(folder):
    merged = merge(map(copy.deepcopy, [*CONTENTS.values(), {"selector": {"tau": "0.4"}}]))
    with pytest.raises(UserError, match=r"--config\): selector.tau is 0.4 .*always text: write it into a file"):
        check(merged, [folder / f"{name}.yaml" for name in FILES])


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("recipe",), "propsed-40", "figures.recipe is propsed-40, which is not a recipe, did you mean 'proposed-40'?"),
        (("methods", 1), "blurr-30", "figures.methods.1 is blurr-30, which is not a recipe, did you mean 'blur-30'?"),
        (("targets", 0), "x", "figures.targets.0 is x, which is not a recipe; allowed: proposed-45"),
        (("steps",), "tabel3", "figures.steps is tabel3, which is not a table, did you mean 'table3'?"),
    ],
)
def test_a_figure_that_names_what_is_not_there(folder, keys, value, words):
    change = lambda section: section.__setitem__(keys[-1], value)  # noqa: E731
    assert words in complaint(folder, "config", change, ("figures", *keys[:-1]))


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({"order": ["hps/blurr-30/swin-t"]}, "order.0 is hps/blurr-30/swin-t: unknown supervision 'blurr-30', did"),
        ({"order": ["{set}/pseudo/swin-t"]}, "order.0 is {set}/pseudo/swin-t, and over and across fill in nothing"),
        (
            {"over": {"b": ["x/y"]}, "order": ["hps/pseudo/{b}"]},
            "is hps/pseudo/{b}, and over and across fill in b",
        ),
        ({"over": {"b": ["swin-u"]}, "order": ["hps/pseudo/{b}"]}, "unknown backbone 'swin-u', did you mean 'swin-t'?"),
        ({"order": ["hps/pseudo/swin-t"], "above": ["hps/human/swin-t"]}, "has above, order; allowed: order, or"),
        ({}, "has no comparison; allowed: order, or all and above"),
        ({"order": ["hps/pseudo"]}, "is hps/pseudo; allowed: text of this form (A detector as train_set/"),
        *(
            ({"over": {"b": ["swin-t"]}, "order": [f"hps/pseudo/{name}"]}, f"order.0 is hps/pseudo/{name}, and over")
            for name in ("{b:>999999999}", "{b!r}", "{b.__class__}", "{b[0]}", "{{b}}", "{}", "{0}")
        ),
    ],
)
def test_a_claim_that_cannot_be_judged(folder, claim, words):
    mine = {"mine": {"statement": "One is better.", "section": "-", **claim}}
    said = complaint(folder, "paper/claims", lambda section: section["claims"].update(mine))
    assert "claims.mine" in said and words in said


def test_published_numbers_of_a_table_that_is_not_there(folder):
    rename = lambda section: section.update(table9=section.pop("table1"))  # noqa: E731
    assert "published.table9 is not a table, did you mean" in complaint(
        folder, "paper/published", rename, ("published",)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pools: {hps: [", "is not YAML: "),
        ("- a list", "not keys with values"),
        ("\xff", "is not UTF-8 text"),
        (None, "is missing"),
        ("seed: &x [1, *x]", "holds in line 1 a value that contains itself by an alias"),
        ("labels: &x\n  votes: *x", "holds in line 1 a value that contains itself by an alias"),
        ("? [a, b]\n: 1", "holds in line 1 a list or a section as a key"),
        ("seed: 2024-13-45", "holds in line 1 what cannot be read as timestamp"),
        ("seed: " + "9" * 5000, "holds in line 1 what cannot be read as int"),
        ("seed: \x07", "is not YAML: unacceptable character"),
        ("seed: " + 5000 * "[", "is not YAML: exceeded maximum nesting depth"),
        ("seed: " + 900 * "[" + 900 * "]", "nests its values too deeply"),
    ],
)
def test_a_file_that_is_not_a_config(tmp_path, text, words):
    file = tmp_path / "mine.yaml"
    if text:
        file.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=rf"^\S*mine.yaml:? .*{words}.*\.$"):
        load([file])


def test_a_config_in_json_with_tabs_is_taken(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{\n\t"seed": 3\n}')
    assert load([file])["seed"] == 3


def test_no_word_of_the_validators_own_reaches_anybody(folder):
    """Every kind of mistake that the models can find, in one place each."""
    wrong = [5, "x", None, [], {}, [1, 2, 3], True, -1.5]
    for name, keys, _, _ in VALUES[::7]:
        for value in wrong:
            said = complaint(folder, name, lambda s, k=keys[-1], v=value: s.__setitem__(k, v), keys[:-1]) or ""
            for words in ("Input", "should", "Field required", "pydantic", "Extra"):
                assert words not in said, said


def test_enough_was_tried():
    """The figures of docs/faults.md; runs after the others."""
    print(dict(TRIED))
    assert len(TRIED) < 7 or sum(TRIED.values()) - TRIED["values of another type, refused"] >= 500

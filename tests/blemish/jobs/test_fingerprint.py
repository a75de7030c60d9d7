import ast
import importlib
import re
import subprocess
import sys

import pytest
from checkout import ROOT

import blemish.jobs
from blemish.detection.settings import Overrides
from blemish.jobs import fingerprint
from blemish.settings import Settings

PACKAGE = ROOT / "workflow/blemish"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package, a imports b inside a function, c stands alone; returns a function that writes a file of it."""
    folder = tmp_path / "workflow" / "blemish"
    monkeypatch.setattr(fingerprint, "PACKAGE", folder)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)

    def write(name, text):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        fingerprint._analyse.cache_clear()

    write("__init__.py", "")
    write("a.py", "def f():\n    from blemish import b\n    return b.x\n")
    write("b.py", '"""Says something."""\nx = 1  # one\n')
    write("c.py", "y = 1\n")
    for chapter in ("jobs", "labels"):
        write(f"{chapter}/__init__.py", "")
    write("jobs/leases.py", "GPUS = 1\n")
    write("jobs/progress.py", "class Progress: ...\n")
    write("errors.py", "class UserError(Exception): ...\n")
    yield write
    fingerprint._analyse.cache_clear()


def test_fingerprint_follows_imports_but_not_words(package):
    before = fingerprint.fingerprint("a")
    package("b.py", '"""Says something else."""\n\nx = 1\n')
    assert fingerprint.fingerprint("a") == before
    package("c.py", "y = 2\n")
    assert fingerprint.fingerprint("a") == before
    package("b.py", "x = 2\n")
    assert fingerprint.fingerprint("a") != before


IMPORTS = """
import logging, sys, warnings
from tqdm import tqdm, trange
from blemish import errors
from blemish.errors import UserError
from blemish.jobs import leases
from blemish.jobs.progress import Progress
log = logging.getLogger("blemish")
class OwnError(Exception): ...
"""

SPEAKS = {
    "a docstring": ('def f():\n    """One."""\n    return 1', 'def f():\n    """Two."""\n    return 1'),
    "no docstring": ('def f():\n    """One."""\n    return 1', "def f():\n    return 1"),
    "an attribute's docstring": ('class A:\n    x: int\n    """One."""', 'class A:\n    x: int\n    """Two."""'),
    "a log message": ('def f(x):\n    log.info("one %s", x)', 'def f(x):\n    log.info("two %s", x)'),
    "a log message's level": ('def f(x):\n    log.info("%s", x)', 'def f(x):\n    log.warning("%s", x)'),
    "a log message's numbers": ('def f(x):\n    log.info("%d", len(x))', 'def f(x):\n    log.info("%d", sum(x))'),
    "no log message": ('def f(x):\n    log.info("%s", x)\n    return x', "def f(x):\n    return x"),
    "an unnamed logger": (
        'def f():\n    logging.getLogger("a").info("one")',
        'def f():\n    logging.getLogger("b").info("two")',
    ),
    "a logger's name": ('other = logging.getLogger("a")', 'other = logging.getLogger("b")'),
    "a warning": ('def f():\n    warnings.warn("one")', 'def f():\n    warnings.warn("two")'),
    "standard error": ('def f():\n    print("one", file=sys.stderr)', 'def f():\n    print("two", file=sys.stderr)'),
    "an error": ('def f():\n    raise UserError("one")', 'def f():\n    raise UserError("two")'),
    "an error, by its module": (
        'def f():\n    raise errors.UserError("one")',
        'def f():\n    raise errors.UserError("two")',
    ),
    "an error's insertions": (
        'def f(x):\n    raise UserError(f"one {x}")',
        "def f(x):\n    raise UserError(', '.join(map(str, x)))",
    ),
    "an error that a function makes": (
        'def f(x):\n    return UserError(f"one {x}")',
        'def f(x):\n    return UserError("two")',
    ),
    "a hint in an error": (
        'def f(x):\n    hint = "one" if x else "two"\n    raise UserError(f"no: {hint}")',
        'def f(x):\n    hint = "three" if x else f"four {x}"\n    raise UserError(f"no: {hint}")',
    ),
    "a built-in error": ('def f():\n    raise ValueError("one")', 'def f():\n    raise ValueError(f"two {f}")'),
    "an error of the module": (
        'def f(x):\n    raise OwnError("one", x) from None',
        'def f(x):\n    raise OwnError(f"two {x}", x) from None',
    ),
    "an assertion": ('def f(x):\n    assert x, "one"', 'def f(x):\n    assert x, "two"'),
    "a progress bar": (
        'def f(x):\n    title = f"one {x}"\n    with Progress(title, 1) as bar:\n        bar.update()',
        'def f(x):\n    with Progress("two", 1) as bar:\n        bar.update()',
    ),
    "a bar of tqdm": (
        'def f(x):\n    for i in tqdm(x, desc="one", unit="B"): yield i',
        'def f(x):\n    for i in tqdm(x, desc="two", mininterval=1): yield i',
    ),
    "a lease": (
        'def f():\n    with leases.hold("one"):\n        return 1',
        'def f():\n    with leases.hold("two"):\n        return 1',
    ),
    "an import for a message": (
        'import difflib\ndef f(x):\n    raise UserError(f"one {difflib.get_close_matches(x, [])}")',
        'def f(x):\n    raise UserError("two")',
    ),
}

COMPUTES = {
    "a condition before an error": (
        'def f(x):\n    if x > 1:\n        raise UserError("one")',
        'def f(x):\n    if x > 2:\n        raise UserError("one")',
    ),
    "another error": ('def f():\n    raise UserError("one")', 'def f():\n    raise ValueError("one")'),
    "no error": ('def f(x):\n    if x: raise UserError("one")', "def f(x):\n    if x: pass"),
    "an error's value": (
        'def f(x):\n    raise OwnError("one", x + 1)',
        'def f(x):\n    raise OwnError("one", x + 2)',
    ),
    "an assignment in an error": (
        'def f(x):\n    raise UserError(f"one {(y := x)}")',
        'def f(x):\n    raise UserError(f"one {(y := x + 1)}")',
    ),
    "an assignment in a log message": (
        'def f(x):\n    log.info("%d", y := x)\n    return y',
        'def f(x):\n    log.info("%d", y := x + 1)\n    return y',
    ),
    "a value that a message shows too": (
        'def f(x):\n    n = 1\n    log.info("%d", n)\n    return n',
        'def f(x):\n    n = 2\n    log.info("%d", n)\n    return n',
    ),
    "a call for a message": (
        'def f(x):\n    first = next(x)\n    log.info("%s", first)\n    return list(x)',
        'def f(x):\n    first = None\n    log.info("%s", first)\n    return list(x)',
    ),
    "an attribute": ('class A:\n    title = "one"', 'class A:\n    title = "two"'),
    "a text": ('def f():\n    return "one"', 'def f():\n    return "two"'),
    "what is printed": ('def f(x):\n    print("one", file=x)', 'def f(x):\n    print("two", file=x)'),
    "what is iterated": (
        'def f(x):\n    for i in tqdm(x, desc="one"): yield i',
        'def f(x):\n    for i in tqdm(x[1:], desc="one"): yield i',
    ),
    "what passes through": ("def f(x):\n    return leases.each(x)", "def f(x):\n    return leases.each(x[1:])"),
    "the body of a lease": (
        'def f():\n    with leases.hold("one"):\n        return 1',
        'def f():\n    with leases.hold("one"):\n        return 2',
    ),
    "a default": ("def f(x=1):\n    return x", "def f(x=2):\n    return x"),
    "an outer variable": (
        'def f():\n    global name\n    name = "one"\n    log.info(name)',
        'def f():\n    global name\n    name = "two"\n    log.info(name)',
    ),
}


def followed(module):
    return [path.name for path in fingerprint.files(module) if path.name != "__init__.py"]


@pytest.mark.parametrize("kind", SPEAKS)
def test_what_speaks_is_left_out(package, kind):
    one, two = SPEAKS[kind]
    package("m.py", IMPORTS + one)
    before = fingerprint.fingerprint("m")
    package("m.py", IMPORTS + two)
    assert fingerprint.fingerprint("m") == before


@pytest.mark.parametrize("kind", COMPUTES)
def test_what_computes_counts(package, kind):
    one, two = COMPUTES[kind]
    package("m.py", IMPORTS + one)
    before = fingerprint.fingerprint("m")
    package("m.py", IMPORTS + two)
    assert fingerprint.fingerprint("m") != before


def test_jobs_errors_and_settings_are_not_followed(package):
    package("labels/settings.py", 'class Labels:\n    votes: int\n    """One."""\n')
    package("m.py", IMPORTS + "from blemish.labels.settings import Labels\ndef f(x): return Labels(**x)")
    assert followed("m") == ["m.py"]


def test_a_module_that_only_a_message_uses_is_not_followed(package):
    package("m.py", "from blemish import b, c\ndef f(x):\n    if x: raise ValueError(f'one {c.y}')\n    return b.x")
    assert followed("m") == ["b.py", "m.py"]


def test_a_module_that_is_imported_for_its_effect_is_followed(package):
    package("m.py", "from blemish import b\n")
    assert followed("m") == ["b.py", "m.py"]


def test_what_a_methods_parameters_may_be_is_left_out(package):
    def of(text):
        package("methods/m.py", text)
        return fingerprint.fingerprint("methods.m")

    assert of('PARAMETERS = {"sigma": {"description": "one"}}') == of('PARAMETERS = {"sigma": {"description": "two"}}')
    used = "def f(): return PARAMETERS\n"
    assert of(used + 'PARAMETERS = {"sigma": 1}') != of(used + 'PARAMETERS = {"sigma": 2}')


def test_fingerprint_takes_a_template_as_it_is(package):
    name = "workflow/blemish/page.html"
    package("page.html", "<p>one</p>")
    before = fingerprint.fingerprint("a", name)
    assert before != fingerprint.fingerprint("a")
    package("page.html", "<p>two</p>")
    assert fingerprint.fingerprint("a", name) != before


def test_fingerprint_refuses_a_module_that_is_not_there(package):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fingerprint.fingerprint("nowhere")


def test_no_message_of_the_package_changes_what_comes_after_it():
    """Messages are left out of fingerprints, so they may not take from an iterator, fill a list, or write a file."""
    changes = {"next", "pop", "popitem", "append", "add", "update", "remove", "write", "read", "send", "open", "random"}
    found = []
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "scripts").glob("*.py")]:
        before, after = ([ast.unparse(c) for c in calls(t)] for t in trees(path))
        for call in before:
            name = ast.parse(call, mode="eval").body.func
            if getattr(name, "attr", getattr(name, "id", "")) in changes and before.count(call) > after.count(call):
                found.append(f"{path.name}: {call}")
    assert found == []


def trees(path):
    return ast.parse(path.read_text()), fingerprint.silent(ast.parse(path.read_text()))


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_settings_hold_no_values():
    """A value in a model would reach a job without being one of its parameters."""
    for path in PACKAGE.rglob("settings.py"):
        importlib.import_module(".".join(["blemish", *path.relative_to(PACKAGE).with_suffix("").parts]))
    waiting, models = [Settings], []
    while waiting:
        models += (found := waiting.pop().__subclasses__())
        waiting += found
    assert len(models) > 30
    for model in models:
        for name, field in model.model_fields.items():
            default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
            assert default in (None, {}, [], Overrides()), f"{model.__name__}.{name}"


def test_canonical_makes_spellings_alike():
    one = fingerprint.canonical({"b": 1e2, "a": [1.0, 0.5, "x"], "c": True})
    two = fingerprint.canonical({"c": True, "a": [1, 0.5, "x"], "b": 100})
    assert repr(one) == repr(two)


def test_what_the_snakefile_imports_does_not_import_torch():
    imports = re.findall(r"^(?:from|import) blemish.*", (ROOT / "rules/common.smk").read_text(), re.MULTILINE)
    assert len(imports) > 3
    program = "; ".join(
        [*imports, "import sys", "print([m for m in ('torch', 'pandas', 'numpy', 'mmseg') if m in sys.modules])"]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_harness_imports_nothing_that_could_change_a_result():
    """`blemish.jobs` is left out of fingerprints as a whole."""
    used = {line for path in fingerprint_free() for line in re.findall(r"from (blemish\S*) import", path.read_text())}
    assert {name.split(".")[1] for name in used} <= {"jobs", "errors"}


def fingerprint_free():
    return [PACKAGE / "errors.py", *(path for folder in blemish.jobs.__path__ for path in (ROOT / folder).glob("*.py"))]

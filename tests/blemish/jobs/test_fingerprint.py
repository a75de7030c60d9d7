import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from blemish.jobs import fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package: a imports b inside a function; c stands alone."""
    folder = tmp_path / "workflow" / "blemish"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text("def f():\n    from blemish import b\n    return b.x\n")
    (folder / "b.py").write_text('"""Says something."""\nx = 1  # one\n')
    (folder / "c.py").write_text("y = 1\n")
    monkeypatch.setattr(fingerprint, "PACKAGE", folder)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)

    def edit(name, text):
        (folder / name).write_text(text)
        fingerprint._analyse.cache_clear()

    fingerprint._analyse.cache_clear()
    yield edit
    fingerprint._analyse.cache_clear()


def test_fingerprint_follows_imports_but_not_words(package):
    before = fingerprint.fingerprint("a")
    package("b.py", '"""Says something else."""\n\nx = 1\n')
    assert fingerprint.fingerprint("a") == before
    package("c.py", "y = 2\n")
    assert fingerprint.fingerprint("a") == before
    package("b.py", "x = 2\n")
    assert fingerprint.fingerprint("a") != before


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


def test_canonical_makes_spellings_alike():
    one = fingerprint.canonical({"b": 1e2, "a": [1.0, 0.5, "x"], "c": True})
    two = fingerprint.canonical({"c": True, "a": [1, 0.5, "x"], "b": 100})
    assert repr(one) == repr(two)


def test_a_note_is_written_once_for_the_same_settings(tmp_path):
    path = Path(fingerprint.note(tmp_path / "kind", {"b": 1.0, "a": [None, "ä"]}))
    assert json.loads(path.read_text()) == {"a": [None, "ä"], "b": 1}
    os.utime(path, (0, 0))
    assert fingerprint.note(tmp_path / "kind", {"a": [None, "ä"], "b": 1}) == str(path)
    assert path.stat().st_mtime == 0
    assert fingerprint.note(tmp_path / "kind", {"a": [None, "ä"], "b": 2}) != str(path)


def test_what_the_snakefile_imports_does_not_import_torch():
    program = (
        "import sys; from blemish import corruptions, devices, job, fingerprint, tables; "
        "print([m for m in ('torch', 'pandas', 'numpy', 'diffusers', 'mmseg') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

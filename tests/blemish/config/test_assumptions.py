import re

import pytest
import yaml

from blemish import assumptions
from blemish.reference import ROOT

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def test_the_page_is_current():
    assert assumptions.TARGET.read_text() == assumptions.document(assumptions.collect()), "make docs"


def test_no_mark_is_missing():
    """Counted without the collector's patterns: the word with a colon, or at a line's end."""
    files = [path for name in ("config", "rules", "scripts", "workflow") for path in (ROOT / name).rglob("*")]
    counts = {
        path.relative_to(ROOT).as_posix(): len(re.findall(r"#.*ASSUME(?::|$)", path.read_text(), re.MULTILINE))
        for path in [*files, ROOT / "Snakefile"]
        if path.suffix in (".py", ".smk", ".yaml", "") and path.is_file()
    }
    found = [assumption.file for assumption in assumptions.collect()]
    assert {file: count for file, count in counts.items() if count} == {file: found.count(file) for file in found}


@pytest.mark.parametrize("assumption", assumptions.collect(), ids=lambda found: f"{found.file}:{found.key}")
def test_every_named_key_exists_and_every_reason_is_said(assumption):
    assert assumption.reason
    node = SCHEMA
    for part in assumption.key.split(".") if assumption.key else []:
        node = SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
        others = node.get("additionalProperties", True)  # a key that the schema leaves open has no parts of its own
        assert part in node.get("properties", {}) or others is not False, assumption
        node = node.get("properties", {}).get(part) or (others if isinstance(others, dict) else {})


def test_what_a_mark_says_is_found_wherever_it_stands(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/x.yaml").write_text(
        "a: # what a is. ASSUME\n  # ASSUME: the value,\n  # on two lines\n  b: 1 # ASSUME: c.d; of d\n  # no mark\n"
    )
    (tmp_path / "workflow/p").mkdir(parents=True)
    (tmp_path / "workflow/p/x.py").write_text('x = 1  # ASSUME: that\n# ASSUME: a.b, this\n# too\n"ASSUME marks"\n')
    assert assumptions.collect(tmp_path) == [
        ("config/x.yaml", "a", "what a is"),
        ("config/x.yaml", "a.b", "the value, on two lines"),
        ("config/x.yaml", "c.d", "of d"),
        ("workflow/p/x.py", "", "that"),
        ("workflow/p/x.py", "a.b", "this too"),
    ]

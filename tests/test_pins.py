"""Imports, pyproject.toml's bounds, the pins, the locks and what is installed agree."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FOLDERS = ("workflow", "scripts", "benchmarks", "tests")
# Direct dependencies that no module imports: programs, plugins, and what mmsegmentation needs and does not require.
NOT_IMPORTED = {"snakemake-executor-plugin-slurm", "ftfy", "regex"}
NOT_IMPORTED_DEV = {"pytest-xdist", "ruff", "snakefmt", "setuptools"}


def pinned(name):
    """Canonical name -> Requirement, of each line of a requirements file that names a package."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith(("#", "-r "))]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def locked(name):
    """Canonical name -> (Requirement, number of hashes), of each package in a lock."""
    blocks = re.split(r"^(?=[a-z])", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
    requirements = [(Requirement(block.partition(" \\\n")[0]), block.count("--hash=sha256:")) for block in blocks]
    return {canonicalize_name(requirement.name): (requirement, hashes) for requirement, hashes in requirements}


def bounded():
    """Canonical name -> Requirement, of pyproject.toml's dependencies."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in listed}


def version_of(requirement):
    """The version of a pin; ValueError unless it is an exact one."""
    (specifier,) = requirement.specifier
    if specifier.operator != "==" or "*" in specifier.version:
        raise ValueError(f"{requirement} is not an exact pin")
    return specifier.version


def imported(*folders):
    """Canonical names of the distributions that the modules below `folders` import.

    A module is of this project if neither the standard library nor an installed distribution has it; then a file or
    folder here must bear its name.
    """
    distributions = packages_distributions()
    own = {path.stem for folder in FOLDERS for path in [ROOT / folder, *(ROOT / folder).rglob("*")]}
    names = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            else:
                continue
            for module in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names:
                assert module in distributions or module in own, f"{path} imports {module}, which is not installed"
                names |= {canonicalize_name(name) for name in distributions.get(module, ())}
    return names - {"blemish"}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_each_direct_dependency_is_pinned(name):
    for requirement in pinned(name).values():
        assert version_of(requirement)


def test_bounds_and_pins_name_the_same():
    bounds, pins = bounded(), pinned("requirements.txt")
    assert {name: bound.extras for name, bound in bounds.items()} == {name: pin.extras for name, pin in pins.items()}
    for name, bound in bounds.items():
        assert sorted(specifier.operator for specifier in bound.specifier) == ["<", ">="], bound
        assert version_of(pins[name]) in bound.specifier, bound


def test_direct_dependencies_are_what_is_imported():
    pins, modules = set(pinned("requirements.txt")), imported("workflow", "scripts")
    assert modules - pins == set(), "imported, but missing in requirements.txt"
    assert pins - modules == NOT_IMPORTED, "in requirements.txt, but not imported"


def test_dev_dependencies_are_what_else_is_imported():
    pins, dev = set(pinned("requirements.txt")), set(pinned("requirements-dev.txt"))
    modules = imported("tests", "benchmarks")
    assert pins & dev == set()
    assert modules - pins - dev == set(), "imported, but missing in requirements-dev.txt"
    assert dev - modules == NOT_IMPORTED_DEV, "in requirements-dev.txt, but not imported"


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_a_lock_holds_the_pins_with_hashes(name):
    lock = locked(f"{name}.lock")
    for package, pin in pinned(f"{name}.txt").items():
        if package != "torch":
            there = lock.get(package) or locked("requirements.lock").get(package)
            assert there and version_of(there[0]) == version_of(pin), f"{pin} is not in {name}.lock: `make lock`"
    for requirement, hashes in lock.values():
        assert version_of(requirement) and not requirement.url and hashes, requirement
    # No options: an index or a folder of one machine.
    assert not re.search(r"^-|://|^\s+--(?!hash=)", (ROOT / f"{name}.lock").read_text(), flags=re.MULTILINE)


def test_the_locks_leave_pytorchs_build_to_the_user():
    names = {*locked("requirements.lock"), *locked("requirements-dev.lock")}
    assert not [name for name in names if re.match(r"(torch|triton)$|(cuda|nvidia)-", name)]


def test_what_is_installed_is_what_the_locks_say():
    first, second = locked("requirements.lock"), locked("requirements-dev.lock")
    assert not first.keys() & second.keys()
    expected = [requirement for requirement, _ in (first | second).values()]
    expected = [requirement for requirement in expected if not requirement.marker or requirement.marker.evaluate()]
    expected.append(pinned("requirements.txt")["torch"])
    wrong = [f"{wanted} ({there})" for wanted in expected if (there := version(wanted.name)) not in wanted.specifier]
    assert not wrong, "installed otherwise: `make` in a new .venv brings what the locks say"

"""`pip install .` brings the command, the whole package and the files beside code that the commands need."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder to which the package was installed, outside any checkout."""
    folder = tmp_path_factory.mktemp("install")
    for name in ("pyproject.toml", "README.md", "LICENSE", "config", "workflow", "resources/mini/diffusion"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    done = subprocess.run([*pip, "--wheel-dir", folder, folder / "source"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_everything_of_the_package_is_installed(installed):
    package = ROOT / "workflow" / "blemish"
    expected = {path.relative_to(package) for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    found = {path.relative_to(installed / "blemish") for path in (installed / "blemish").rglob("*") if path.is_file()}
    assert expected <= found
    (entries,) = installed.glob("*.dist-info/entry_points.txt")
    assert "blemish = blemish.cli.__main__:main" in entries.read_text()


def test_an_installed_command_corrupts_outside_a_checkout(installed, pictures, tmp_path):
    images, masks = pictures
    command = [sys.executable, "-m", "blemish.cli", "corrupt", images, "--masks", masks, "--out", tmp_path / "out"]
    done = subprocess.run(
        [*command, "--recipe", "gaussian-50"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"{installed}/blemish/home/resources/mini/diffusion" in done.stderr
    assert len(list((tmp_path / "out/images").iterdir())) == 3

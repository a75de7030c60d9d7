import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from blemish.config.load import ROOT


def test_help_needs_nothing_heavy():
    """`--help` answers before torch could have been imported."""
    code = """if True:
        import sys
        from blemish.cli import __main__ as cli
        sys.argv = ["blemish", "corrupt", "--help"]
        try:
            cli.main()
        finally:
            heavy = {"torch", "numpy", "pandas", "pyarrow", "PIL", "snakemake", "yaml"} & set(sys.modules)
            assert not heavy, heavy
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "--recipe" in done.stdout, done.stderr


@pytest.mark.parametrize("command", ["corrupt", "detect", "score", "export"])
def test_wrong_usage_ends_with_two(blemish, command):
    code, _, err = blemish(command, "--bogus")
    assert code == 2 and "bogus" in err


def test_a_missing_option_is_named(blemish, tmp_path):
    code, _, err = blemish("detect", tmp_path)
    assert code == 2 and "--out" in err
    assert blemish("export", tmp_path, "--format", "voc", "--out", tmp_path / "x")[0] == 2


def test_the_readmes_commands_work_as_they_stand(blemish, pictures, weights, tmp_path, no_results):
    detector = tmp_path / "results/mini/detectors/richhf-human/human/swin-t/seed-0"
    shutil.copytree(weights.parent, detector)
    (detector / "metrics.json").write_text(json.dumps({"iou": 1}))
    pictures[0].rename(tmp_path / "photos")
    commands = re.findall(r"^blemish (.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["corrupt", "detect", "score", "export"]
    for command in commands:
        code, _, err = blemish(*shlex.split(command.replace("DETECTOR", str(weights)), comments=True))
        assert code == 0, err
    made = {"corrupted/records.parquet", "found/detections.csv", "scores/metrics.json", "dataset/README.md"}
    assert all((tmp_path / name).is_file() for name in made)

import subprocess
import sys

import pytest


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

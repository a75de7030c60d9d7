"""What the overlays change, and what a wrong config costs."""

import subprocess
import sys

from checkout import ROOT, said, snakemake

from blemish.config.check import read
from blemish.config.load import merge


def keys(config, prefix=""):
    for key, value in config.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")


def test_the_overlays_change_sizes_sources_and_one_threshold_only():
    allowed = ("pathvars", "resolution", "device", "dtype", "sources", "subset", "pools", "backbones")
    sizes = (
        "detectors.iterations",
        "detectors.selector_iterations",
        "detectors.batch_size",
        "detectors.lr",
        "detectors.amp",
        "detectors.workers",
        "detectors.checkpoint_interval",
        "detectors.log_interval",
        "corruption.batch_size",
        "corruption.threads",
        "evaluation.batch_size",
        "selector.tau",  # whose reason stands in the overlay
    )
    for key in keys(merge(read(ROOT / f"config/{name}.yaml") for name in ("mini", "test"))):
        assert key.split(".")[0] in allowed or key in sizes or any(s.startswith(key + ".") for s in sizes), key


def test_a_check_imports_no_library_of_networks_or_tables():
    program = (
        "import sys; from blemish.config import check; heavy = 'torch', 'numpy', 'pandas', 'pyarrow', 'matplotlib', "
        "'mmengine', 'mmseg', 'diffusers'; print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_snakemake_says_one_sentence_about_a_mistake():
    done = snakemake("-n", "--configfile", "config/mini.yaml", "--config", "selector={tau: 0.4}")
    assert done.returncode and "selector.tau is 0.4" in said(done) and "Traceback" not in said(done)

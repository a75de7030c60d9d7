"""The package for the tests' own interpreters and for those they start; one thread, so that tests stay quick."""

import os
from pathlib import Path

os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "workflow")
os.environ["OMP_NUM_THREADS"] = "1"

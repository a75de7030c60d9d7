"""The package for the tests' own interpreters and for those they start; one thread, so that tests stay quick."""

import os
from pathlib import Path

import hypothesis
import pytest

os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "workflow")
os.environ["OMP_NUM_THREADS"] = "1"
# A busy machine does not make the code wrong: no example fails by the clock.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Marks what lies in tests/faults as long. The longest files go first: at the end, one keeps a single core busy."""
    for item in items:
        if item.path.parent.name == "faults":
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: ("end_to_end" not in item.keywords, item.path.parent.name != "workflow"))

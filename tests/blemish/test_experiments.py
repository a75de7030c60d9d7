import pytest

from blemish.errors import UserError
from blemish.experiments import steps_inverted


def test_the_papers_steps_count_backwards():
    assert [steps_inverted(step, 50) for step in (50, 45, 40, 0)] == [0, 5, 10, 50]
    for step in (-1, 51):
        with pytest.raises(UserError, match=f"step {step} "):
            steps_inverted(step, 50)

import pytest

from blemish.errors import UserError
from blemish.steps import before, steps_inverted, stored


@pytest.mark.parametrize(
    ("depths", "expected"),
    [([10, 20], [0, 5, 10, 15, 20]), ([7], [0, 5, 7]), ([7, 10], [0, 5, 7, 10]), ([0], [0]), ([], [])],
)
def test_what_is_stored_is_the_way_to_the_deepest(depths, expected):
    assert stored(depths, 5) == expected
    assert all(before(n, 5) in expected for n in expected if n)


def test_the_papers_steps_count_backwards():
    assert [steps_inverted(step, 50) for step in (50, 45, 40, 0)] == [0, 5, 10, 50]
    for step in (-1, 51):
        with pytest.raises(UserError, match=f"step {step} "):
            steps_inverted(step, 50)

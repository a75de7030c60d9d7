import threading
import time

import pytest

from blemish.data.prefetch import ahead, behind, in_order


def test_items_come_in_order_and_the_next_is_made_meanwhile():
    made = []

    def items():
        for i in range(4):
            made.append((i, threading.current_thread().name))
            yield i

    seen = []
    for item in ahead(items()):
        deadline = time.monotonic() + 10
        while len(made) < min(item + 2, 4) and time.monotonic() < deadline:
            time.sleep(0.001)
        seen.append((item, len(made)))
    assert seen == [(0, 2), (1, 3), (2, 4), (3, 4)]
    assert threading.main_thread().name not in {name for _, name in made}


def test_an_error_while_reading_ahead_is_raised():
    def items():
        yield 1
        raise ValueError("unreadable")

    with pytest.raises(ValueError, match="unreadable"):
        list(ahead(items()))


def test_what_is_submitted_is_done_at_the_end():
    written = []
    with behind(2) as submit:
        for i in range(20):
            submit(written.append, i)
    assert sorted(written) == list(range(20))


def test_an_error_while_writing_is_raised():
    def full():
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"), behind(1) as submit:
        submit(full)


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_items_order(threads):
    def late(i, j):
        time.sleep(0.01 if i % 3 == 0 else 0)
        return i, j

    assert list(in_order(late, range(20), iter(range(20)), threads=threads)) == [(i, i) for i in range(20)]


def test_as_many_items_as_threads_are_worked_on_at_a_time_and_few_are_taken_ahead():
    together, taken = threading.Barrier(3, timeout=10), []

    def items():
        for i in range(30):
            taken.append(i)
            yield i

    results = in_order(lambda i: together.wait() * 0 + i, items(), threads=3)
    assert next(results) == 0
    assert len(taken) == 7
    assert list(results) == list(range(1, 30))


def test_an_items_error_is_raised_where_its_turn_comes():
    results = in_order(lambda i: 1 / (2 - i), range(9), threads=2)
    assert [next(results), next(results)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_without_further_threads_nothing_is_taken_ahead():
    taken = []
    results = in_order(abs, (taken.append(i) or i for i in range(9)), threads=1)
    assert next(results) == 0 and taken == [0]

import threading
import time

import pytest

from blemish.data.prefetch import ahead, behind


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

"""Reading ahead and writing behind, so that the device does not wait for the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yields the items, none of them None, while a thread makes the next one."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(next, items, None)
        while (item := future.result()) is not None:
            future = pool.submit(next, items, None)
            yield item


@contextmanager
def behind(threads: int) -> Iterator[Callable]:
    """Yields submit(function, *arguments), which runs calls in `threads` threads and lets as many again wait.

    An error of a call is raised by a later submit, or at the end of the block.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting = []

        def submit(function: Callable, *arguments) -> None:
            if len(waiting) >= 2 * threads:
                waiting.pop(0).result()
            waiting.append(pool.submit(function, *arguments))

        yield submit
        for future in waiting:
            future.result()

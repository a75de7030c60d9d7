"""Reading ahead, working in several threads and writing behind, so that the device does not wait for the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yields the items, none of them None, while a thread makes the next one."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(next, items, None)
        while (item := future.result()) is not None:
            future = pool.submit(next, items, None)
            yield item


def in_order(function: Callable[..., R], *items: Iterable, threads: int) -> Iterator[R]:
    """map(function, *items), worked out in `threads` threads; the results come in the items' order.

    At most twice as many items as threads are taken ahead of what is asked for; with one thread none is, and no thread
    is started. An error is raised where its item's turn comes.
    """
    if threads == 1:
        yield from map(function, *items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future] = deque()
        try:
            for item in zip(*items, strict=True):
                waiting.append(pool.submit(function, *item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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

"""Doing several things at once, a few of them in flight, the answers in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["several"]

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def several(work: Callable[[Asked], Answer], items: Iterable[Asked], at_once: int) -> Iterator[Answer]:
    """Yield what `work` gives for each item, in their order; `at_once` threads work, and no more is taken than that.

    The first error ends it, after what is in flight has ended; nothing new is begun then.
    """
    waiting: deque[Future[Answer]] = deque()
    pool = ThreadPoolExecutor(at_once)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

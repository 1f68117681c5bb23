"""Work handed to threads, left at once when something fails or Ctrl-C comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

__all__ = ["in_threads"]


@contextmanager
def in_threads(threads: int) -> Iterator[Callable[[Callable[..., Any], Iterable[Any]], Iterator[Any]]]:
    """Yield a ``map`` that runs in `threads` threads.

    When the block ends nothing is waited for: all is done then, or an exception has come, and a thread that compiles may be busy
    for a minute.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool.map
    finally:
        pool.shutdown(wait=False, cancel_futures=True)

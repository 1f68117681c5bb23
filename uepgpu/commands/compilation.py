"""Whether Numba is compiling, for displays that would else look hung."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["watched_compilation"]


@contextmanager
def watched_compilation(*, here: bool = True) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether a kernel is being compiled at this moment, in whatever thread.

    Parameters
    ----------
    here : bool
        Whether this process compiles anything. If not, Numba is not loaded for it, which takes a second.
    """
    if not here:
        yield lambda: False
        return
    from numba.core import event

    running = 0

    class Compilations(event.Listener):
        def on_start(self, event: Any) -> None:
            nonlocal running
            running += 1

        def on_end(self, event: Any) -> None:
            nonlocal running
            running -= 1

    listener = Compilations()
    event.register("numba:compile", listener)  # type: ignore[no-untyped-call]
    try:
        yield lambda: running > 0
    finally:
        event.unregister("numba:compile", listener)  # type: ignore[no-untyped-call]

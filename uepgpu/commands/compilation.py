"""Whether Numba is compiling, for displays that would else look hung, and how long it has, for rates that leave that out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Compilation", "watched_compilation"]

NOTICED = 0.05
"""Seconds of compilation that are worth a word."""


@dataclass
class Compilation:
    """What is known of compiling kernels; calling it says whether one is being compiled at this moment, in whatever thread.

    Attributes
    ----------
    running : int
        Kernels that are being compiled.
    finished : float
        Seconds in which at least one was, those that run now left out.
    since : float
        When the ones that run now began.
    """

    running: int = 0
    finished: float = 0.0
    since: float = 0.0

    def __call__(self) -> bool:
        """Whether a kernel is being compiled now."""
        return self.running > 0

    @property
    def seconds(self) -> float:
        """Seconds in which at least one kernel was being compiled."""
        return self.finished + (time.perf_counter() - self.since if self.running else 0.0)

    def start(self) -> None:
        """Take in that a kernel begins to be compiled."""
        if not self.running:
            self.since = time.perf_counter()
        self.running += 1

    def end(self) -> None:
        """Take in that a kernel has been compiled."""
        self.running -= 1
        if not self.running:
            self.finished += time.perf_counter() - self.since

    def describe(self) -> str:
        """Return what follows a rate or a number of seconds that leaves compilation out; empty where there was none."""
        return f"; {self.seconds:.1f} s of compiling kernels, done once, left out" if self.seconds >= NOTICED else ""


@contextmanager
def watched_compilation(*, here: bool = True) -> Iterator[Compilation]:
    """Yield what says whether a kernel is being compiled, and how long that has taken.

    Parameters
    ----------
    here : bool
        Whether this process compiles anything. If not, Numba is not loaded for it, which takes a second.
    """
    compilation = Compilation()
    if not here:
        yield compilation
        return
    from numba.core import event

    class Compilations(event.Listener):
        def on_start(self, event: Any) -> None:
            compilation.start()

        def on_end(self, event: Any) -> None:
            compilation.end()

    listener = Compilations()
    event.register("numba:compile", listener)  # type: ignore[no-untyped-call]
    try:
        yield compilation
    finally:
        event.unregister("numba:compile", listener)  # type: ignore[no-untyped-call]

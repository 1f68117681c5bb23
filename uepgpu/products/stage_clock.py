"""Time spent by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["STAGES", "Clock"]

STAGES = ("encode", "multiply", "decode")


@dataclass
class Clock:
    """Adds up seconds by stage: ``with clock("encode"): …``.

    Attributes
    ----------
    settle : callable
        Called at the end of every stage, before the clock is read: waits for a device.
    seconds : dict
    """

    settle: Callable[[], None] = lambda: None
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block."""
        began = time.perf_counter()
        try:
            yield
            self.settle()
        finally:
            self.seconds[stage] += time.perf_counter() - began

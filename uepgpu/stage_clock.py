"""Time spent by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Clock"]


@dataclass
class Clock:
    """Adds up seconds by stage: ``with clock("encode"): …``."""

    seconds: dict[str, float] = field(default_factory=lambda: {"encode": 0.0, "multiply": 0.0, "decode": 0.0})

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began

"""The sections of the record, in the order of the page."""

from __future__ import annotations

from dataclasses import dataclass

from bench.gpu.equality import SHARDS
from bench.gpu.rates import OTHER_SHARDS

__all__ = ["SECTIONS", "Section"]


@dataclass(frozen=True)
class Section:
    """A part of the record that runs in a process of its own.

    Attributes
    ----------
    title : str
        Sections of one title are one part of the page.
    target : str
        ``"module:function"``, called with :class:`~bench.gpu.notes.Notes` and the shard, if there is one.
    limit : float
        Seconds that it may take; longer, and it is killed.
    shard : int, optional
    alone : bool
        Whether it runs when all others have ended.
    """

    title: str
    target: str
    limit: float
    shard: int | None = None
    alone: bool = False


SECTIONS: dict[str, Section] = {
    "environment": Section("Environment", "bench.gpu.machine:environment", 60),
    "hot": Section("Rates", "bench.gpu.rates:hot_rates", 300),
    **{f"equality{i}": Section("Equality", "bench.gpu.equality:equality", 420, i) for i in range(SHARDS)},
    "selftest": Section("Self-test", "bench.gpu.machine:selftest", 300),
    "long": Section("Long run", "bench.gpu.rates:long_run", 240),
    "launches": Section("Launches", "bench.gpu.launches:launch_cost", 120),
    "compilation": Section("Compilation", "bench.gpu.launches:compilation", 300),
    "streams": Section("Threads and streams", "bench.gpu.sharing:streams", 240),
    "multiply": Section("Products", "bench.gpu.work:multiply", 240),
    "gradient": Section("Gradient coding", "bench.gpu.work:gradient", 240),
    "train": Section("Training", "bench.gpu.work:train", 240),
    **{f"rates{i}": Section("Rates", "bench.gpu.rates:other_rates", 400, i) for i in range(OTHER_SHARDS)},
    "memory": Section("Short memory", "bench.gpu.sharing:memory", 300, alone=True),
}

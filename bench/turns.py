"""Timings that mean something on a noisy machine: contestants take turns, the median of several rounds counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Contestant", "Timing", "take_turns"]


@dataclass(frozen=True)
class Contestant:
    """Something to time.

    Attributes
    ----------
    name : str
    call : callable
        Does `work` units of work.
    work : float
        Realizations, say.
    """

    name: str
    call: Callable[[], object]
    work: float


@dataclass(frozen=True)
class Timing:
    """What a contestant did: its rate (work per second) in each round."""

    name: str
    rates: tuple[float, ...]

    @property
    def rate(self) -> float:
        """The median rate."""
        return statistics.median(self.rates)

    def ratio(self, to: Timing) -> float:
        """Return the median over rounds of this rate to another's in the same round."""
        return statistics.median(a / b for a, b in zip(self.rates, to.rates, strict=True))


def take_turns(contestants: Sequence[Contestant], rounds: int = 7) -> dict[str, Timing]:
    """Time contestants in turn, after one untimed call of each (compilation, caches).

    Examples
    --------
    >>> timing = take_turns([Contestant("sum", lambda: sum(range(1000)), 1000.0)], rounds=3)["sum"]
    >>> len(timing.rates), timing.rate > 0
    (3, True)
    """
    for contestant in contestants:
        contestant.call()
    rates: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            began = time.perf_counter()
            contestant.call()
            rates[contestant.name].append(contestant.work / (time.perf_counter() - began))
    return {name: Timing(name, tuple(values)) for name, values in rates.items()}

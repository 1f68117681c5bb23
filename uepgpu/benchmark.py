"""Timings that mean something on a noisy machine: contestants take turns, the median of several rounds counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Contestant", "Measured", "Timing", "take_turns", "uep30"]


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


@dataclass(frozen=True)
class Measured:
    """A job timed on one backend.

    Attributes
    ----------
    job : str
    first_call_seconds : float
        Compilation, or loading a compiled kernel, included.
    rates : tuple of float
        Realizations a second of each round, tally and transfer to the host included.
    """

    job: str
    realizations: int
    first_call_seconds: float
    rates: tuple[float, ...]

    @property
    def rate(self) -> float:
        """The median rate."""
        return statistics.median(self.rates)


def uep30(backend: str, *, quick: bool = False, threads: int | None = None) -> Iterator[Measured]:
    """Time the UEP-30 job (EW, W = 30, K = 9, 22 deadlines 0:0.05:1.05) with both decoders in both domains.

    The number of realizations is chosen so that a round takes about a second (0.2 s with `quick`).
    """
    import uepgpu as uep

    part = uep.Partition.model("rxc", left_variances=(10, 1, 0.1), right_variances=(10, 1, 0.1), classes=(3, 3, 3))
    code, workers = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25)), uep.Workers(30, omega=1.0, work="unit")
    for domain, deadlines in (("count domain", None), ("22 deadlines", [0.05 * i for i in range(22)])):
        for decoder in ("count", "match"):

            def run(n: int, decoder: str = decoder, deadlines: list[float] | None = deadlines) -> float:
                began = time.perf_counter()
                uep.simulate(
                    code,
                    part,
                    workers,
                    deadlines=deadlines,
                    realizations=n,
                    seed=1,
                    backend=backend,
                    decoder=decoder,
                    threads=threads,
                )
                return time.perf_counter() - began

            first = run(1000)
            n, target = 1000, 0.2 if quick else 1.0
            while (took := run(n)) < target / 4 and n < 10**11:
                n *= 4
            n = max(1000, int(n * target / took))
            yield Measured(f"{decoder}, {domain}", n, first, tuple(n / run(n) for _ in range(3 if quick else 7)))

"""Realizations a second of the UEP-30 job on one backend."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from uepgpu.codes import ExpandingWindow
from uepgpu.monte_carlo import simulate
from uepgpu.partition import Partition
from uepgpu.workers import Workers

__all__ = ["Measured", "uep30"]


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
    part = Partition.model("rxc", left_variances=(10, 1, 0.1), right_variances=(10, 1, 0.1), classes=(3, 3, 3))
    code, workers = ExpandingWindow(gamma=(0.40, 0.35, 0.25)), Workers(30, omega=1.0, work="unit")
    for domain, deadlines in (("count domain", None), ("22 deadlines", [0.05 * i for i in range(22)])):
        for decoder in ("count", "match"):

            def run(n: int, decoder: str = decoder, deadlines: list[float] | None = deadlines) -> float:
                began = time.perf_counter()
                simulate(
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

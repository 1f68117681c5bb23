"""Tallies that tests of counts, files and estimates start from."""

from __future__ import annotations

from tests.cases.problems import EW, PAPER, RXC
from uepgpu import Tally, simulate

__all__ = ["TIMES", "run"]

TIMES = (0.1, 0.4, 0.8)


def run(first=0, realizations=100, code=EW, part=RXC, workers=PAPER, seed=3, **options) -> Tally:
    """Simulate expanding windows in the count domain, unless told otherwise."""
    return simulate(code, part, workers, realizations=realizations, seed=seed, first_realization=first, **options)

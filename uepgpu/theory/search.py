"""The first time at which a curve of losses is low enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from uepgpu.workers import Workers

__all__ = ["first_time", "typical_time"]

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]

PER_CALL = 20
"""Times that a curve is asked for at once."""
OCTAVES = 24
"""The coarse grid reaches from so many powers of two below the start to as many above."""
PER_OCTAVE = 4
LATEST = 1e300


def typical_time(workers: Workers, n_subproducts: int) -> float:
    """Return about the time by which half of the packets of one unit of work have arrived; 1 if that is never."""
    times = 2.0 ** np.arange(-1000, 1001)
    arrived = workers.arrival(times, n_subproducts, 1, float(workers.speed().max()))
    enough = arrived >= 0.5 * (1.0 - workers.loss_probability)
    return float(times[enough.argmax()]) if enough.any() else 1.0


def first_time(curve: Curve, target: float, start: float) -> float:
    """Return the least time t >= 0 with curve(t) <= target, to the last bits; infinity if there is none up to 1e300.

    Parameters
    ----------
    curve : callable
        From ascending times (n,) to losses (n,). Where it falls throughout the answer is exact; where it may rise in between, as
        with summands that cancel, it is the first crossing that a grid of four times an octave sees.
    target : float
    start : float
        > 0; a time in whose neighbourhood the curve falls.
    """
    if curve(np.zeros(1))[0] <= target:
        return 0.0
    low, high = _bracket(curve, target, start)
    while high < math.inf:
        between = np.geomspace(low, high, PER_CALL + 2)[1:-1] if high > 1.5 * low else np.linspace(low, high, PER_CALL + 2)[1:-1]
        between = between[(between > low) & (between < high)]
        if not between.size:
            break
        enough = curve(between) <= target
        first = int(enough.argmax()) if enough.any() else between.size
        edges = np.concatenate([[low], between, [high]])
        low, high = float(edges[first]), float(edges[first + 1])
    return high


def _bracket(curve: Curve, target: float, start: float) -> tuple[float, float]:
    """Return times low < high, the curve above the target at `low` and not at `high`, which is infinite if it stays above."""
    grid = start * 2.0 ** (np.arange(-OCTAVES * PER_OCTAVE, OCTAVES * PER_OCTAVE + 1) / PER_OCTAVE)
    grid = grid[(grid > 0) & (grid < LATEST)]
    for i in range(0, grid.size, PER_CALL):
        enough = curve(grid[i : i + PER_CALL]) <= target
        if enough.any():
            first = i + int(enough.argmax())
            if first:
                return float(grid[first - 1]), float(grid[first])
            return math.ulp(0.0), float(grid[0])
    low = float(grid[-1])
    while (high := low * 256) < LATEST:
        if curve(np.array([high]))[0] <= target:
            return low, high
        low = high
    return low, math.inf

"""Who has arrived: what designs take from workers and deadlines, or from a law of the number of packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import deadlines_array, instance, real_array, shown
from uepgpu.theory.received import received_law
from uepgpu.workers import Workers

__all__ = ["Arrivals", "arrivals_of", "weights_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Packets that arrive independently of each other, given how many there are.

    At point d, with probability ``chance[d, i]``, there are ``total[i]`` packets, and one of window l among them arrives
    with probability ``arrived[d, i, l]``. Workers who answer independently: one i with total W. A law of the number of
    packets received: all totals 0..W, everything arrived.

    Attributes
    ----------
    total : (I,) int64
    chance : (D, I) float64
    arrived, late : (D, I, L) float64
        They sum to 1.
    deadlines : (D,) float64 or None
    """

    total: Ints
    chance: Floats
    arrived: Floats
    late: Floats
    deadlines: Floats | None

    @classmethod
    def of_number(cls, chance: Floats, n_windows: int, deadlines: Floats | None) -> Arrivals:
        """Return arrivals by Pr[N packets have arrived], whatever their windows, (D, W + 1)."""
        ones = np.ones((*chance.shape, n_windows))
        return cls(np.arange(chance.shape[1]), chance, ones, np.zeros_like(ones), deadlines)

    @property
    def n_points(self) -> int:
        """Number of points D."""
        return int(self.chance.shape[0])

    @property
    def most(self) -> int:
        """Largest number of packets W."""
        return int(self.total.max())


def arrivals_of(workers: Any, deadlines: Any, received: Any, work: Ints, n_subproducts: int, *, drawn: bool = False) -> Arrivals:
    """Return arrivals by the deadlines, or those of a law of the number of packets received.

    Parameters
    ----------
    workers, deadlines
        Both or none.
    received : (W + 1,) or (points, W + 1), or None
        Pr[N packets have arrived], N = 0..W, whatever their windows.
    work : (L,) int64
        True work of the windows.
    drawn : bool
        Whether what a packet holds does not depend on who sends it: then at equal work any arrivals will do.
    """
    if received is not None:
        if deadlines is not None or workers is not None:
            raise ValueError(f"received must come without workers and deadlines, which it replaces, got {shown(received)}")
        chance = np.atleast_2d(real_array("received", received))
        if chance.ndim != 2 or chance.shape[1] < 2 or not np.all(chance >= 0) or np.any(np.abs(chance.sum(axis=1) - 1) > 1e-9):
            raise ValueError(
                f"received must hold probabilities of 0..W packets in rows that sum to 1, got {shown(received)}: "
                "one row, or one per point"
            )
        return Arrivals.of_number(chance, work.size, None)
    if workers is None or deadlines is None:
        raise ValueError(f"workers and deadlines must be given, or received, got workers={shown(workers)} and no received")
    times = deadlines_array(deadlines)
    instance("workers", workers, Workers)
    assert isinstance(workers, Workers)
    if not workers.alike:
        if not drawn or np.unique(workers.charge(work)).size > 1:
            what = "drawn windows of equal work only" if drawn else "workers that are alike and independent only"
            raise NotImplementedError(f"such designs have a closed form for {what}, got {shown(workers)}")
        return Arrivals.of_number(received_law(workers, times, n_subproducts, int(work[0])), work.size, times)
    speed = workers.speed()[0]
    arrived = workers.arrival(times[:, None, None], n_subproducts, work, speed)
    late = workers.absence(times[:, None, None], n_subproducts, work, speed)
    return Arrivals(np.array([workers.count]), np.ones((times.size, 1)), arrived, late, times)


def weights_of(weights: Any, n_points: int) -> Floats:
    """Return weights of the points that sum to 1; equal ones by default."""
    if weights is None:
        return np.full(n_points, 1 / n_points)
    array = real_array("weights", weights)
    if array.shape != (n_points,) or not np.all(np.isfinite(array)) or np.any(array < 0) or array.sum() <= 0:
        raise ValueError(f"weights must be {n_points} finite numbers >= 0, one per deadline and not all 0, got {shown(weights)}")
    return np.asarray(array / array.sum())

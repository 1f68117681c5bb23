"""Steps of training as rounds: which workers a step meets, where racks or a recorded trace decide it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.latency import Deterministic, Latency, Trace
from uepgpu.latency.law import ROUNDING, as_times
from uepgpu.workers import Workers
from uepgpu_kernels.reference.sample import words
from uepgpu_kernels.streams import ORDER, RACKS, TRACES

__all__ = ["SAME", "Rounds", "State"]

Floats = NDArray[np.float64]

State = tuple[int, ...]
"""What tells rounds apart: the struck racks; the row of a trace, and whose latency and speed each worker has if it is shuffled."""

SAME: State = ()
"""The state of workers whose rounds are all alike."""

HALF = np.uint64(32)


class _Never:
    """The law of a worker that does not answer in a round."""

    def cdf(self, time: ArrayLike) -> Floats:
        """Return 0."""
        return np.zeros(as_times(time).shape)

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1."""
        return np.ones(as_times(time).shape)


NEVER = _Never()


class Rounds:
    """The rounds of one trajectory: all products of a step meet one round (docs/mathematics.md §7).

    Racks are struck in every step anew. A trace in order is met row by row, from row `replica` on; one at random in a row that is
    drawn for the step. Given its round, workers are independent.

    Parameters
    ----------
    workers : Workers
    seed : int
    replica : int
    limits : (n,) float64
        Ascending: how long a unit of work at speed 1 may take for packets of the occurring works to meet the deadline. Only these
        decide what a recorded latency is, so that workers share laws, and tables stay small.

    Examples
    --------
    >>> import uepgpu as uep
    >>> trace = uep.latency.Trace([[1.0, 2.0], [3.0, np.inf], [5.0, 6.0]], replay="order")
    >>> rounds = Rounds(uep.Workers(2, latency=trace), seed=1, replica=0, limits=np.array([4.0]))
    >>> rounds.states(np.arange(5, dtype=np.uint64))
    [(0,), (1,), (2,), (0,), (1,)]
    >>> [len(rounds.of((row,)).laws) for row in range(3)]  # both are in time, one of them is, none is
    [1, 2, 1]
    """

    def __init__(self, workers: Workers, seed: int, replica: int, limits: Floats) -> None:
        self.workers, self.seed, self.replica, self.limits = workers, seed, replica, limits

    def states(self, steps: NDArray[np.uint64], first: int = 0) -> list[State]:
        """Return the states of steps; `first` is the number of the replica's first realization, that of step 0."""
        number = np.uint64(first) + steps
        trace, racks = self.workers.latency, self.workers.racks
        if isinstance(trace, Trace):
            rows = self._rows(trace, steps, number)
            if not trace.shuffle:
                return [(row,) for row in rows]
            return [(row, *place) for row, place in zip(rows, self._places(number), strict=True)]
        if racks is None or racks.probability == 0:
            return [SAME] * steps.size
        count = len(set(racks.of))
        struck = words(self.seed, number, RACKS, 0, count) < np.uint64(np.floor(racks.probability * 2.0**32))
        return [tuple(np.flatnonzero(row).tolist()) for row in struck]

    def _rows(self, trace: Trace, steps: NDArray[np.uint64], number: NDArray[np.uint64]) -> list[int]:
        n = np.uint64(trace.n_rounds)
        if trace.replay == "order":
            return [int(row) for row in (steps + np.uint64(self.replica)) % n]
        return [int(row) for row in (words(self.seed, number, TRACES, 0, 2)[:, 1] * n) >> HALF]

    def _places(self, number: NDArray[np.uint64]) -> list[list[int]]:
        """Return whose latency and speed each worker has, by Fisher-Yates from the last place down."""
        found = []
        for drawn in words(self.seed, number, ORDER, 0, self.workers.count).tolist():
            place = list(range(len(drawn)))
            for i in range(len(drawn) - 1, 0, -1):
                j = drawn[i] * (i + 1) >> 32
                place[i], place[j] = place[j], place[i]
            found.append(place)
        return found

    def of(self, state: State) -> Workers:
        """Return the workers of a round, who are independent."""
        pool, racks = self.workers, self.workers.racks
        if isinstance(pool.latency, Trace):
            row, *place = state
            times = pool.latency.at(row) / pool.speed()
            times = times[place] if place else times
            missed = np.searchsorted(self.limits * ROUNDING, times, side="left")
            like = np.unique(missed, return_index=True, return_inverse=True)
            laws = [_recorded(times[first]) for first in like[1]]
            return dataclasses.replace(pool, latency=tuple(laws[kind] for kind in like[2]), speeds=None)
        if racks is None or racks.probability == 0:
            return pool
        slow: Latency = NEVER if racks.latency is None else racks.latency
        struck = np.isin(np.unique(np.asarray(racks.of), return_inverse=True)[1], state)
        given = tuple(slow if hit else pool.laws[law] for hit, law in zip(struck.tolist(), pool.law_of().tolist(), strict=True))
        return dataclasses.replace(pool, latency=given, racks=None)


def _recorded(time: np.float64) -> Latency:
    return Deterministic(float(time)) if np.isfinite(time) else NEVER

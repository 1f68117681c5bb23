"""Steps of training as rounds: which workers a step meets, where racks or a recorded trace decide it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.latency import Deterministic, Latency, Trace
from uepgpu.latency.law import ROUNDING, as_times
from uepgpu.workers import Markov, Workers
from uepgpu_kernels.reference.sample import words
from uepgpu_kernels.streams import ORDER, RACKS, STATES, TRACES

__all__ = ["SAME", "Rounds", "State"]

Floats = NDArray[np.float64]

State = tuple[int, ...]
"""What tells rounds apart: the states of workers; the struck racks; the row of a trace, and whose latency and speed each worker has
if it is shuffled."""

SAME: State = ()
"""The state of workers whose rounds are all alike."""

HALF = np.uint64(32)
MOST_STEPS = 512
"""Steps of a trajectory that are passed through at once."""


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

    Racks are struck in every step anew, and workers pass through their states by a step each. A trace in order is met row by row,
    from row `replica` on; one at random in a row that is drawn for the step. Given its round, workers are independent.

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
        self._known: tuple[int, NDArray[np.int64] | None] = (0, None)

    def states(self, steps: NDArray[np.uint64], first: int = 0) -> list[State]:
        """Return the states of steps; `first` is the number of the replica's first realization, that of step 0."""
        number = np.uint64(first) + steps
        trace, racks = self.workers.latency, self.workers.racks
        if self.workers.states is not None:
            return [tuple(row) for row in self._path(self.workers.states, steps, first).tolist()]
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

    def _path(self, states: Markov, steps: NDArray[np.uint64], first: int) -> NDArray[np.int64]:
        """Return the states of all workers in steps, (steps, W); steps before them are passed through, from the last ones known."""
        at, last = self._known if self._known[0] <= int(steps[0]) else (0, None)
        padded = 4 * -(-self.workers.count // 4)
        found, end = [], int(steps[-1]) + 1
        while at < end:
            count = min(MOST_STEPS, end - at)
            drawn = words(self.seed, np.array([first], dtype=np.uint64), STATES, at * padded, count * padded)
            path = states.path(drawn.reshape(count, padded)[:, : self.workers.count], axis=0, before=last)
            found.append(path[max(int(steps[0]) - at, 0) :])
            at, last = at + count, path[-1]
            if at <= int(steps[0]):
                self._known = at, last
        return np.concatenate(found)

    def _rows(self, trace: Trace, steps: NDArray[np.uint64], number: NDArray[np.uint64]) -> list[int]:
        n = np.uint64(trace.n_rounds)
        if trace.replay == "order":
            return [int(row) for row in (steps + np.uint64(self.replica)) % n]
        begin = int(steps[0])
        back = begin
        while back >= 0:  # to where the block of the first step began: round 0 is drawn
            drawn = words(
                self.seed, number[0] - np.uint64(begin) + np.arange(back, int(steps[-1]) + 1, dtype=np.uint64), TRACES, 0, 2
            )
            anew = trace.restarts(drawn[:, 0])
            anew[0] |= back == 0
            if anew[: begin - back + 1].any():
                break
            back = max(back - MOST_STEPS, 0)
        last = np.maximum.accumulate(np.where(anew, np.arange(anew.size), -1))[begin - back :]
        row = (drawn[last, 1] * n >> HALF).astype(np.int64) + np.arange(begin - back, anew.size) - last
        return [int(r) for r in row % trace.n_rounds]

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
        if pool.states is not None:
            in_state = tuple(pool.states.laws[s] for s in state)
            return dataclasses.replace(pool, latency=in_state, states=None)
        if racks is None or racks.probability == 0:
            return pool
        slow: Latency = NEVER if racks.latency is None else racks.latency
        struck = np.isin(np.unique(np.asarray(racks.of), return_inverse=True)[1], state)
        given = tuple(slow if hit else pool.laws[law] for hit, law in zip(struck.tolist(), pool.law_of().tolist(), strict=True))
        return dataclasses.replace(pool, latency=given, racks=None)


def _recorded(time: np.float64) -> Latency:
    return Deterministic(float(time)) if np.isfinite(time) else NEVER

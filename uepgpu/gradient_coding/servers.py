"""How long servers take in every iteration: unequal, lossy, in racks, or as recorded (docs/mathematics.md §8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.gradient_coding.quantile import latencies_with_losses, latency_of_words
from uepgpu.latency import Staged, Trace
from uepgpu.workers import Markov, Workers
from uepgpu_kernels.reference.sample import words
from uepgpu_kernels.streams import ORDER, RACKS, SERVERS, STATES, TRACES

__all__ = ["Servers", "always_answer", "plain"]

Floats = NDArray[np.float64]
U64 = NDArray[np.uint64]

WORDS = 2.0**32
LATEST = 1e100
"""Answers that are not there by then never come: products of greater times overflow."""


def plain(workers: Workers) -> bool:
    """Whether the least word is the fastest server: all are alike, lose nothing and answer once."""
    law = workers.laws[0]
    scales = not isinstance(law, Staged) or law.scales
    return workers.alike and workers.loss_probability == 0 and workers.backup is None and workers.states is None and scales


def always_answer(workers: Workers) -> bool:
    """Whether no answer is ever lost, as far as the description says it: a law may still leave some out."""
    if isinstance(workers.latency, Trace):
        return workers.loss_probability == 0 and all(bool(np.all(np.isfinite(rows))) for _, rows in workers.latency.slices())
    dark = workers.racks is not None and workers.racks.probability > 0 and workers.racks.latency is None
    return workers.loss_probability == 0 and not dark


@dataclass(frozen=True, eq=False)
class Servers:
    """The servers of a scheme, the first R of `workers`, each with `work` to do in an iteration.

    Attributes
    ----------
    workers : Workers
    count : int
        R.
    n_blocks : int
        K of the problem, which a fair Ω is relative to.
    work : float
        In units of a block's gradient.
    seed : int
    """

    workers: Workers
    count: int
    n_blocks: int
    work: float
    seed: int

    def draw(self, first: int, realizations: int, iterations: int) -> tuple[Floats, U64]:
        """Return latencies and the words behind them, shape (realizations, iterations, R); infinite: no answer comes.

        Iterations are the rounds of a trajectory: a trace that is replayed in order begins at row i mod (rows) in realization i and
        goes on by a row an iteration, in blocks from a drawn row; racks are struck in every iteration anew; states are passed
        through by a step an iteration.
        """
        number = np.uint64(first) + np.arange(realizations, dtype=np.uint64)
        word = self._words(number, SERVERS, self.count, iterations)
        trace = self.workers.latency
        if not isinstance(trace, Trace):
            return self._drawn(number, word), word
        latency = self._recorded(trace, number, iterations)
        lost = (WORDS - 0.5 - word) / WORDS <= self.workers.loss_probability
        # Latencies of a trace come from no word: the lower number comes first.
        return np.where(lost, np.inf, latency), np.zeros_like(word)

    def _words(self, number: U64, stream: np.uint64, each: int, iterations: int) -> U64:
        """Return `each` words of every iteration, shape (realizations, iterations, each)."""
        padded = 4 * -(-each // 4)
        found = words(self.seed, number, stream, 0, iterations * padded)
        return found.reshape(number.size, iterations, padded)[:, :, :each]

    # --- laws ---------------------------------------------------------------------------------------------------------

    def _drawn(self, number: U64, word: U64) -> Floats:
        if self.workers.states is not None:
            return self._in_states(self.workers.states, number, word)
        kinds, kind_of = self.workers.kinds()
        struck = self._struck(number, word.shape[1])
        latency = np.empty(word.shape)
        for kind, (speed, law) in enumerate(kinds):
            of = np.flatnonzero(kind_of[: self.count] == kind)
            for state in (False, True):
                where = struck[:, :, of] == state
                if where.any():
                    mine = latency[:, :, of]
                    mine[where] = self._quantile(word[:, :, of][where], speed, law, struck=state)
                    latency[:, :, of] = mine
        return latency

    def _in_states(self, states: Markov, number: U64, word: U64) -> Floats:
        """Return latencies of servers that pass through states from iteration to iteration."""
        pool = self.workers
        state = states.path(self._words(number, STATES, self.count, word.shape[1]), axis=1)
        load = float(pool.charge(self.work)) / (pool.resolved_omega(self.n_blocks) * pool.speed()[: self.count])
        latency = np.empty(word.shape)
        for s, law in enumerate(states.laws):
            here = state == s
            latency[here] = latencies_with_losses(law, word[here], pool.loss_probability)
        return latency * load

    def _struck(self, number: U64, iterations: int) -> NDArray[np.bool_]:
        """Return whether the rack of each server is struck, shape (realizations, iterations, R)."""
        racks = self.workers.racks
        if racks is None:
            return np.zeros((number.size, iterations, self.count), dtype=np.bool_)
        names, rack_of = np.unique(np.asarray(racks.of), return_inverse=True)
        drawn = self._words(number, RACKS, names.size, iterations)
        return (drawn < np.uint64(np.floor(racks.probability * WORDS)))[:, :, rack_of[: self.count]]

    def _quantile(self, word: U64, speed: float, law: int, *, struck: bool) -> Floats:
        """Return the latencies of words of servers of one kind."""
        pool = self.workers
        chosen = pool.racks.latency if struck and pool.racks is not None else pool.laws[law]
        if chosen is None:
            return np.full(word.shape, np.inf)
        if pool.backup is None and (not isinstance(chosen, Staged) or chosen.scales):
            charge = float(pool.charge(self.work))
            # The inverse of Workers.unit_time.
            load = charge / (pool.resolved_omega(self.n_blocks) * speed)
            return latencies_with_losses(chosen, word, pool.loss_probability) * load
        return latency_of_words(_Answer(self, speed, law, struck), word, never=pool.loss_probability > 0)

    # --- traces -------------------------------------------------------------------------------------------------------

    def _recorded(self, trace: Trace, number: U64, iterations: int) -> Floats:
        pool = self.workers
        load = float(pool.charge(self.work)) / (pool.resolved_omega(self.n_blocks) * pool.speed())
        latency = trace.at(self._rows(trace, number, iterations)) * load
        if trace.shuffle:
            return np.take_along_axis(latency, self._places(number, iterations), axis=2)
        return np.asarray(latency[:, :, : self.count])

    def _rows(self, trace: Trace, number: U64, iterations: int) -> NDArray[np.int64]:
        """Return the round that each iteration meets, shape (realizations, iterations)."""
        rows = np.uint64(trace.n_rounds)
        if trace.replay == "order":
            start = (number % rows)[:, None] + np.arange(iterations, dtype=np.uint64)
            return np.asarray(start % rows, dtype=np.int64)
        drawn = words(self.seed, number, TRACES, 0, 2 * iterations)
        anew = trace.restarts(drawn[:, 0::2])
        row = ((drawn[:, 1::2] * rows) >> np.uint64(32)).astype(np.int64)
        for t in range(1, iterations):
            row[:, t] = np.where(anew[:, t], row[:, t], (row[:, t - 1] + 1) % trace.n_rounds)
        return row

    def _places(self, number: U64, iterations: int) -> NDArray[np.int64]:
        """Return whose latency and speed each server has in every iteration, shape (realizations, iterations, R)."""
        whole = self.workers.count
        drawn = self._words(number, ORDER, whole, iterations)
        place = np.broadcast_to(np.arange(whole), drawn.shape).copy()
        for i in range(whole - 1, 0, -1):
            j = ((drawn[:, :, i] * np.uint64(i + 1)) >> np.uint64(32)).astype(np.int64)[:, :, None]
            mine = place[:, :, i].copy()
            place[:, :, i] = np.take_along_axis(place, j, axis=2)[:, :, 0]
            np.put_along_axis(place, j, mine[:, :, None], axis=2)
        return place[:, :, : self.count]


@dataclass(frozen=True, eq=False)
class _Answer:
    """The law of when a server's answer is there: with its load, second tries and losses."""

    servers: Servers
    speed: float
    law: int
    struck: bool

    def cdf(self, time: ArrayLike) -> Floats:
        """Return Pr[it is there by `time`]."""
        return self._ask(self.servers.workers.arrival, time)

    def sf(self, time: ArrayLike) -> Floats:
        """Return Pr[it is not]."""
        return self._ask(self.servers.workers.absence, time)

    def _ask(self, of: Callable[..., Floats], time: ArrayLike) -> Floats:
        servers = self.servers
        return of(np.minimum(time, LATEST), servers.n_blocks, servers.work, self.speed, self.law, struck=self.struck)

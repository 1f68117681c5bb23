"""Workers that pass through states from round to round, such as good and bad ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import integer, real_array, shown
from uepgpu.latency import Exponential, Latency, Staged, Trace
from uepgpu.workers.laws import check_foreign

__all__ = ["Markov", "Stationary", "law_of_states"]

Floats = NDArray[np.float64]

MOST_STATES = 16
SUM_SLACK = 1e-9
"""By how much rows may miss 1, as probabilities elsewhere."""


@dataclass(frozen=True, eq=False)
class Markov:
    """States that every worker passes through on its own, a step each round, with a latency law in each.

    It begins in the stationary law, so that a single round is one of independent workers with the mixture of the laws; rounds
    depend on each other (Gilbert and Elliott's channel; docs/mathematics.md §4).

    Parameters
    ----------
    transition : array_like of float, shape (S, S)
        Chance to be in state s' in the next round (column) after s (row); every row sums to 1.
    laws : sequence of Latency
        Law of the time that one unit of work takes in each state, S <= 16 of them.

    Raises
    ------
    ValueError
        If rows do not sum to 1, there is not a law for each state, or there is more than one stationary law.

    Examples
    --------
    >>> import uepgpu as uep
    >>> states = Markov([[0.9, 0.1], [0.3, 0.7]], [uep.latency.Exponential(1.0), uep.latency.Exponential(0.1)])
    >>> states.stationary.round(6).tolist()
    [0.75, 0.25]
    >>> workers = uep.Workers(30, states=states, omega=1.0, work="unit")
    >>> round(float(workers.arrival(0.6, 9, 1)), 6)
    0.35295
    """

    transition: ArrayLike
    laws: Sequence[Latency]

    def __post_init__(self) -> None:
        table = real_array("transition", self.transition)
        if table.ndim != 2 or table.shape[0] != table.shape[1] or not 1 <= len(table) <= MOST_STATES:
            raise ValueError(f"transition must be a square table of 1 to {MOST_STATES} states, got shape {table.shape}")
        if not np.all((table >= 0) & (table <= 1)):
            raise ValueError(f"transition must hold probabilities, got {shown(self.transition)}")
        for s, row in enumerate(table):
            if abs(row.sum() - 1) > SUM_SLACK:
                raise ValueError(f"transition: row {s} sums to {row.sum():g}, it must sum to 1 (got {shown(row.tolist())})")
        if isinstance(self.laws, str | type) or not isinstance(self.laws, Iterable):
            raise ValueError(f"laws must be a sequence of one law per state, got {shown(self.laws)}")
        laws = tuple(self.laws)
        for law in laws:
            if isinstance(law, type | Trace | Staged) or not isinstance(law, Latency):
                raise ValueError(f"laws must be laws of one time each, neither staged nor traces, got {shown(law)} among them")
            check_foreign(law)
        if len(laws) != len(table):
            raise ValueError(f"laws must give one law per state: {len(table)} states, got {len(laws)} laws")
        # Of one closed set of states I - Π has rank S - 1, else less.
        if np.linalg.matrix_rank(np.eye(len(table)) - table, tol=1e-9) < len(table) - 1:
            raise ValueError(f"transition must lead from everywhere to one set of states, got {shown(self.transition)}")
        table /= table.sum(axis=1, keepdims=True)
        table.setflags(write=False)
        object.__setattr__(self, "transition", table)
        object.__setattr__(self, "laws", laws)

    @cached_property
    def stationary(self) -> Floats:
        """Probability of each state in any round, shape (S,)."""
        table = np.asarray(self.transition)
        system = np.vstack([(np.eye(len(table)) - table).T, np.ones(len(table))])
        found = np.clip(np.linalg.lstsq(system, np.append(np.zeros(len(table)), 1.0), rcond=None)[0], 0.0, 1.0)
        return np.asarray(found / found.sum())

    def path(self, words: ArrayLike, axis: int, before: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the states that words lead through, round by round along an axis, of the shape of the words.

        Parameters
        ----------
        words : array_like of int
            0..2³² − 1; a state is the number of thresholds floor(2³² · cumulative probability) that are <= its word.
        axis : int
            Of rounds.
        before : array of int, optional
            States in the round before the first; by default the first round has the stationary law.

        Examples
        --------
        >>> from uepgpu.latency import Exponential
        >>> states = Markov([[0.75, 0.25], [0.75, 0.25]], [Exponential(1.0), Exponential(0.1)])
        >>> states.path([0, 2**32 - 1, 2**31], axis=0).tolist()
        [0, 1, 0]
        """
        rounds = np.moveaxis(np.asarray(words, dtype=np.uint64), axis, 0)
        state = np.empty(rounds.shape, dtype=np.int64)
        table = np.vstack([np.asarray(self.transition), self.stationary])
        upper = np.floor(np.cumsum(table, axis=1) * 2.0**32)
        # Rounding must not lead beyond the last state that may be.
        upper[np.arange(table.shape[1]) >= table.shape[1] - 1 - np.argmax(table[:, ::-1] > 0, axis=1)[:, None]] = 2.0**32
        bounds = upper.astype(np.uint64)
        for r, word in enumerate(rounds):
            last = before if r == 0 else state[r - 1]
            row = bounds[len(table) - 1] if last is None else bounds[last]
            state[r] = (row <= word[..., None]).sum(axis=-1)
        return np.moveaxis(state, 0, axis)

    def covariance(self, time: float, lag: int = 1) -> float:
        """Return the covariance of having answered by `time`, for a unit of work at speed 1, in one round and `lag` rounds later.

        Examples
        --------
        >>> from uepgpu.latency import Exponential
        >>> states = Markov([[0.9, 0.1], [0.3, 0.7]], [Exponential(1.0), Exponential(0.1)])
        >>> round(states.covariance(0.6), 7), round(states.covariance(0.6, lag=2), 7)
        (0.0173713, 0.0104228)
        """
        chance = np.array([float(law.cdf(time)) for law in self.laws])
        return float(self.stationary * chance @ self.ahead(integer("lag", lag, 0)) @ chance - (self.stationary @ chance) ** 2)

    def ahead(self, lag: int) -> Floats:
        """Return the chance to be in state s' (column) `lag` rounds after s (row), shape (S, S).

        Examples
        --------
        >>> from uepgpu.latency import Exponential
        >>> Markov([[0.9, 0.1], [0.3, 0.7]], [Exponential(1.0), Exponential(0.1)]).ahead(2).round(2).tolist()
        [[0.84, 0.16], [0.48, 0.52]]
        """
        return np.asarray(np.linalg.matrix_power(np.asarray(self.transition), lag))

    def describe(self) -> str:
        """Return what people read.

        Examples
        --------
        >>> from uepgpu.latency import Exponential
        >>> Markov([[0.5, 0.5], [0.5, 0.5]], [Exponential(1.0), Exponential(0.5)]).describe()
        'states 0: 50 % Exponential(rate=1.0), 1: 50 % Exponential(rate=0.5)'
        """
        each = (f"{s}: {100 * p:.3g} % {law!r}" for s, (p, law) in enumerate(zip(self.stationary, self.laws, strict=True)))
        return f"states {', '.join(each)}"

    def __eq__(self, other: object) -> bool:
        """Whether transitions and laws are the same."""
        return isinstance(other, Markov) and np.array_equal(self.transition, other.transition) and self.laws == other.laws

    def __hash__(self) -> int:
        """Return a number that equal ones share."""
        return hash(np.asarray(self.transition).tobytes())


@dataclass(frozen=True)
class Stationary:
    """The law of a single round: the mixture of the laws of all states.

    Parameters
    ----------
    states : Markov
    """

    states: Markov

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t)."""
        return self._mixed([law.cdf(time) for law in self.states.laws])

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        return self._mixed([law.sf(time) for law in self.states.laws])

    def _mixed(self, each: list[Floats]) -> Floats:
        return np.asarray(sum(p * value for p, value in zip(self.states.stationary, each, strict=True)))

    def __repr__(self) -> str:
        """Return what labels show."""
        return self.states.describe()


def law_of_states(states: Markov, latency: object, *, alone: bool) -> Stationary:
    """Return the law of a single round, for workers that were given states; `alone` says that no racks or backup were.

    Raises
    ------
    ValueError
        What else they were given does not go together with states.
    """
    if not isinstance(states, Markov):
        raise ValueError(f"states must be a uepgpu.Markov, got {shown(states)}")
    if latency not in (Exponential(), Stationary(states)):
        raise ValueError("latency must not be given where there are states, each of which has a law")
    if not alone:
        raise ValueError("states must not be given where there are racks or backup")
    return Stationary(states)

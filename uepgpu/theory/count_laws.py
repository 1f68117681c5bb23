"""Joint laws of how many packets of every window have arrived, at every deadline or received count.

All but one have product form: the counts are independent, perhaps given their total. Multinomial counts are
independent Poisson counts given their total, multivariate hypergeometric ones independent binomials given theirs. So
one recursion serves all, in numbers within [0, 1] (times at most √(2πW)) that underflow only where a probability does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.theory.arrays import binomial, convolve, log_binomial, log_poisson

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = [
    "MOST_MIXED",
    "CountLaw",
    "DrawnCounts",
    "DrawnUnequalWorkers",
    "MixedCounts",
    "ProductForm",
    "ReceivedTiedCounts",
    "TiedCounts",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


MOST_MIXED = 1000
"""Workers whose arrivals may depend on each other in closed forms: the weights of e^-W/e and its inverse stay within float64."""


class CountLaw(ABC):
    """Law of the counts n_u of windows u at every point.

    Attributes
    ----------
    total : (points,) int64 or None
        Number of packets that the counts and the absent packets sum to, where it is given.
    reach : (points, windows) int64
        The largest possible count.
    """

    total: Ints | None
    reach: Ints

    @property
    def cap(self) -> int:
        """No more packets than this arrive, whatever their windows."""
        return int(self.reach.sum(axis=1).max() if self.total is None else self.total.max())

    def most(self, window: int) -> int:
        """No more packets than this arrive of a window."""
        return min(int(self.reach[:, window].max()), self.cap)

    @abstractmethod
    def expect(self, windows: Sequence[int], factors: Sequence[Floats]) -> Floats:
        """Return E[Π_u f_u(n_u)] over the distinct `windows`, shape (points,); f_u(n) = 0 beyond the end of ``factors[u]``."""

    @abstractmethod
    def kind(self, window: int) -> Hashable:
        """Return a key that windows with exchangeable counts share."""


class ProductForm(CountLaw):
    """Independent counts, perhaps given their total."""

    @abstractmethod
    def weight(self, window: int, most: int) -> Floats:
        """Return Pr[n_u = n] of the independent counts for n = 0..most, shape (points, most + 1)."""

    @abstractmethod
    def others(self, windows: Sequence[int], most: int) -> Floats:
        """Return Pr[all packets but those of `windows` number total - m] / Pr[total], m = 0..most, shape (points, most + 1).

        Ones where no total is given.
        """

    def expect(self, windows: Sequence[int], factors: Sequence[Floats]) -> Floats:
        """Return E[Π_u f_u(n_u)], a sum of positive terms for positive factors."""
        joint = np.ones((self.reach.shape[0], 1))
        for window, factor in zip(windows, factors, strict=True):
            joint = convolve(joint, self.weight(window, factor.size - 1) * factor, self.cap + 1)
        return np.asarray((joint * self.others(windows, joint.shape[1] - 1)).sum(axis=1), dtype=np.float64)


class DrawnCounts(ProductForm):
    """Multinomial counts: `total` packets, each in a window's cell or absent.

    Parameters
    ----------
    cells : (points, windows) float64
        Pr[a packet is of window u and has arrived].
    absent : (points,) float64
        Pr[it has not arrived]; given apart because 1 - Σ cells loses its digits.
    total : (points,) int64
    """

    def __init__(self, cells: Floats, absent: Floats, total: Ints) -> None:
        self.total = total
        self.reach = np.where(cells > 0, total[:, None], 0)
        self._given = total
        self._rates = total[:, None] * cells
        self._absent = total * absent
        self._log_total = log_poisson(total, self._absent + self._rates.sum(axis=1))

    def weight(self, window: int, most: int) -> Floats:
        """Return Poisson probabilities."""
        return np.exp(log_poisson(np.arange(most + 1), self._rates[:, window, None]))

    def others(self, windows: Sequence[int], most: int) -> Floats:
        """Return Poisson probabilities of what is left, over that of the total."""
        keep = np.ones(self._rates.shape[1], dtype=np.bool_)
        keep[list(windows)] = False
        rate = self._absent + self._rates[:, keep].sum(axis=1)
        left = self._given[:, None] - np.arange(most + 1)
        return np.exp(log_poisson(left, rate[:, None]) - self._log_total[:, None])

    def kind(self, window: int) -> Hashable:
        """Return the window's rates."""
        return self._rates[:, window].tobytes()


class MixedCounts(ProductForm):
    """Counts of drawn packets of which a random number N arrives, by any law of N.

    Given N they are multinomial: independent Poisson counts given their total, which is summed over.

    Parameters
    ----------
    share : (windows,) float64
        Pr[a packet is of window u].
    chance : (points, W + 1) float64
        Pr[N packets arrive].
    """

    def __init__(self, share: Floats, chance: Floats) -> None:
        self.total = None
        numbers = np.arange(chance.shape[1])
        self._share = share
        self._most = np.where(chance > 0, numbers, 0).max(axis=1)
        self.reach = np.where(share > 0, self._most[:, None], 0)
        # Any rate will do that keeps weights and what they are divided by within float64: for few workers one that makes 0 and W
        # equally unlikely, for many the mean of N, from which N of independent workers strays less than a Poisson variable.
        few = numbers.size <= MOST_MIXED + 1
        self._rate = np.full(len(chance), numbers[-1] / np.e) if few else np.maximum(chance @ numbers, 1e-300)
        with np.errstate(divide="ignore"):
            self._odds = np.exp(np.log(chance) - log_poisson(numbers, self._rate[:, None]))

    @property
    def cap(self) -> int:
        """No more packets than this arrive, whatever their windows."""
        return int(self._most.max())

    def weight(self, window: int, most: int) -> Floats:
        """Return Poisson probabilities."""
        return np.exp(log_poisson(np.arange(most + 1), self._rate[:, None] * self._share[window]))

    def others(self, windows: Sequence[int], most: int) -> Floats:
        """Return Poisson probabilities of what is left over that of the total, summed over the law of the total."""
        keep = np.ones(self._share.size, dtype=np.bool_)
        keep[list(windows)] = False
        left = np.exp(log_poisson(np.arange(self._odds.shape[1]), self._rate[:, None] * self._share[keep].sum()))
        result = np.zeros((self._odds.shape[0], most + 1))
        for m in range(min(most + 1, self._odds.shape[1])):
            result[:, m] = (self._odds[:, m:] * left[:, : left.shape[1] - m]).sum(axis=1)
        return result

    def kind(self, window: int) -> Hashable:
        """Return the window's share."""
        return float(self._share[window])


class ReceivedTiedCounts(ProductForm):
    """Multivariate hypergeometric counts: `total` of the workers, of whom `n_workers[u]` return window u, have answered."""

    def __init__(self, n_workers: Ints, total: Ints) -> None:
        self.total = total
        self.reach = np.broadcast_to(n_workers, (total.size, n_workers.size))
        self._n_workers = n_workers
        self._given = total
        everyone = int(n_workers.sum())
        self._arrived, self._late = total / everyone, (everyone - total) / everyone
        self._log_total = log_binomial(total, everyone, self._arrived, self._late)

    def weight(self, window: int, most: int) -> Floats:
        """Return binomial probabilities."""
        return binomial(int(self._n_workers[window]), self._arrived, self._late, most)

    def others(self, windows: Sequence[int], most: int) -> Floats:
        """Return binomial probabilities of what is left, over that of the total."""
        size = int(self._n_workers.sum() - self._n_workers[list(windows)].sum())
        left = self._given[:, None] - np.arange(most + 1)
        return np.exp(log_binomial(left, size, self._arrived[:, None], self._late[:, None]) - self._log_total[:, None])

    def kind(self, window: int) -> Hashable:
        """Return the number of workers."""
        return int(self._n_workers[window])


class TiedCounts(ProductForm):
    """Independent counts: every window has its own workers, in groups of equal work and speed.

    Parameters
    ----------
    groups : per window, a sequence of (number of workers, arrived, absent)
        Arrival probabilities and their complements, shapes (points,).
    """

    def __init__(self, groups: Sequence[Sequence[tuple[int, Floats, Floats]]]) -> None:
        self.total = None
        self.reach = np.stack([sum((size * (arrived > 0) for size, arrived, _ in own), np.int64(0)) for own in groups], axis=1)
        self._groups = groups

    def weight(self, window: int, most: int) -> Floats:
        """Return binomial probabilities, convolved over groups."""
        result = np.ones((self.reach.shape[0], 1))
        for size, arrived, absent in self._groups[window]:
            result = convolve(result, binomial(size, arrived, absent, most), most + 1)
        return result

    def others(self, windows: Sequence[int], most: int) -> Floats:
        """Return ones: no total is given."""
        return np.ones((self.reach.shape[0], most + 1))

    def expect(self, windows: Sequence[int], factors: Sequence[Floats]) -> Floats:
        """Return the product of E[f_u(n_u)]."""
        result = np.ones(self.reach.shape[0])
        for window, factor in zip(windows, factors, strict=True):
            result = result * (self.weight(window, factor.size - 1) * factor).sum(axis=1)
        return result

    def kind(self, window: int) -> Hashable:
        """Return the groups."""
        return tuple((size, arrived.tobytes(), absent.tobytes()) for size, arrived, absent in self._groups[window])


class DrawnUnequalWorkers(CountLaw):
    """Drawn windows at workers of different speeds: every worker has its own cells.

    Parameters
    ----------
    cells : (points, workers, windows) float64
    absent : (points, workers) float64
    """

    def __init__(self, cells: Floats, absent: Floats) -> None:
        self.total = None
        self.reach = (cells > 0).sum(axis=1)
        self._cells = cells
        self._absent = absent

    def expect(self, windows: Sequence[int], factors: Sequence[Floats]) -> Floats:
        """Return E[Π_u f_u(n_u)] by adding worker after worker; at most two windows."""
        if len(windows) > 2:
            raise NotImplementedError(
                f"a class of {len(windows)} drawn windows at workers of different speeds has no closed form here: "
                "use uepgpu.simulate"
            )
        keep = np.ones(self._cells.shape[2], dtype=np.bool_)
        keep[list(windows)] = False
        rest = self._absent + self._cells[:, :, keep].sum(axis=2)
        joint = np.zeros((self._cells.shape[0], *(factor.size for factor in factors)))
        joint.reshape(len(joint), -1)[:, 0] = 1.0  # no packet yet
        column: tuple[slice | None, ...] = (slice(None), *(None for _ in factors))
        for worker in range(rest.shape[1]):
            grown = joint * rest[:, worker][column]
            for axis, window in enumerate(windows, start=1):
                more = tuple(slice(1, None) if a == axis else slice(None) for a in range(joint.ndim))
                less = tuple(slice(None, -1) if a == axis else slice(None) for a in range(joint.ndim))
                grown[more] += joint[less] * self._cells[:, worker, window][column]
            joint = grown
        for factor in reversed(factors):
            joint = joint @ factor
        return joint

    def kind(self, window: int) -> Hashable:
        """Return the window's cells."""
        return self._cells[:, :, window].tobytes()

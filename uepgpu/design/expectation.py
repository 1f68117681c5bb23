"""Probabilities of the outcomes as functions of Γ, with exact derivatives.

Over m packets of which one of window l arrives with probability Γ_l F_l, let E_m be the expectation. For any function f of
the counts n, ∂/∂Γ_l E_W f = W F_l E_(W-1)[f(n + e_l) - f(n)] where what has not arrived takes up the rest, and
∂²/∂Γ_a ∂Γ_b E_W f = W(W-1) F_a F_b E_(W-2)[f(n + e_a + e_b) - f(n + e_a) - f(n + e_b) + f(n)] (docs/mathematics.md §11).

Two implementations: sums over all counts where there are few windows, and the recursions of :mod:`uepgpu.theory` on packets
of which some are granted.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uepgpu.design.arrivals import Arrivals
from uepgpu.design.decoding import Decoding
from uepgpu.theory import chain
from uepgpu.theory.arrays import convolve
from uepgpu.theory.count_laws import DrawnCounts, ProductForm

__all__ = ["ByCounts", "ByRecursion", "Expectation", "expectation"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_STATES = 200_000
"""Counts up to which all are enumerated: a millisecond or two per Γ."""
CHUNK = 1 << 22
"""Probabilities held at once."""


class Expectation(ABC):
    """Probabilities of outcomes, of a code's decoding and given arrivals."""

    def __init__(self, decoding: Decoding, arrivals: Arrivals) -> None:
        self.decoding, self.arrivals = decoding, arrivals
        self.n_windows = decoding.work.size
        self.n_outcomes = len(decoding.undecoded)

    @abstractmethod
    def _given(self, gammas: Floats, row: int, taken: int, granted: Sequence[tuple[int, ...]]) -> Floats:
        """Return laws of outcomes of the row's packets but `taken`, with one more of each window of `granted`, (G, n, D, O)."""

    def law(self, gammas: Floats) -> Floats:
        """Return the probabilities of the outcomes, shapes (n, L) and (n, points, O)."""
        arrivals = self.arrivals
        result = np.zeros((len(gammas), arrivals.n_points, self.n_outcomes))
        for row in range(arrivals.total.size):
            result += arrivals.chance[None, :, row, None] * self._given(gammas, row, 0, [()])[0]
        return result

    def gradient(self, gamma: Floats) -> Floats:
        """Return their derivatives by Γ_l, shape (points, O, L); what has not arrived takes up the rest."""
        arrivals = self.arrivals
        granted = [(), *((window,) for window in range(self.n_windows))]
        result = np.zeros((arrivals.n_points, self.n_outcomes, self.n_windows))
        for row, total in enumerate(arrivals.total.tolist()):
            if total < 1:
                continue
            laws = self._given(gamma[None], row, 1, granted)[:, 0]
            factor = total * arrivals.chance[:, row, None] * arrivals.arrived[:, row]
            result += factor[:, None] * np.moveaxis(laws[1:] - laws[0], 0, -1)
        return result

    def hessian(self, gamma: Floats) -> Floats:
        """Return their second derivatives, shape (points, O, L, L)."""
        arrivals, n = self.arrivals, self.n_windows
        pairs = list(itertools.combinations_with_replacement(range(n), 2))
        granted: list[tuple[int, ...]] = [(), *((window,) for window in range(n)), *pairs]
        result = np.zeros((arrivals.n_points, self.n_outcomes, n, n))
        for row, total in enumerate(arrivals.total.tolist()):
            if total < 2:
                continue
            laws = self._given(gamma[None], row, 2, granted)[:, 0]
            for i, (a, b) in enumerate(pairs):
                factor = total * (total - 1) * arrivals.chance[:, row] * arrivals.arrived[:, row, a] * arrivals.arrived[:, row, b]
                term = factor[:, None] * (laws[1 + n + i] - laws[1 + a] - laws[1 + b] + laws[0])
                result[:, :, a, b] += term
                if a != b:
                    result[:, :, b, a] += term
        return result


class ByCounts(Expectation):
    """Sums over all counts."""

    def __init__(self, decoding: Decoding, arrivals: Arrivals) -> None:
        super().__init__(decoding, arrivals)
        self._tables: dict[tuple[int, bool], tuple[Ints, Floats]] = {}
        self._hot: dict[tuple[int, bool, tuple[int, ...]], Floats] = {}

    def _table(self, total: int, everything: bool) -> tuple[Ints, Floats]:
        """Return all counts of `total` packets, last the absent ones, and the logarithms of their multinomial coefficients."""
        key = (total, everything)
        if key not in self._tables:
            from scipy.special import gammaln

            counts = compositions(total, self.n_windows + (not everything))
            if everything:
                counts = np.append(counts, np.zeros((len(counts), 1), dtype=np.int64), axis=1)
            self._tables[key] = counts, gammaln(total + 1) - gammaln(counts + 1.0).sum(axis=1)
        return self._tables[key]

    def _outcomes(self, total: int, everything: bool, granted: tuple[int, ...]) -> Floats:
        """Which outcome the counts have with one more packet of each window of `granted`, as a 0/1 table."""
        key = (total, everything, granted)
        if key not in self._hot:
            counts = self._table(total, everything)[0][:, :-1] + np.bincount(granted or [0], minlength=self.n_windows) * bool(
                granted
            )
            self._hot[key] = np.eye(self.n_outcomes)[self.decoding.outcome(counts)]
        return self._hot[key]

    def _given(self, gammas: Floats, row: int, taken: int, granted: Sequence[tuple[int, ...]]) -> Floats:
        arrived, late = self.arrivals.arrived[:, row], self.arrivals.late[:, row]
        everything, total = not late.any(), int(self.arrivals.total[row]) - taken
        counts, log = self._table(total, everything)
        hot = np.concatenate([self._outcomes(total, everything, windows) for windows in granted], axis=1)
        cells = np.concatenate([gammas[:, None] * arrived, (gammas[:, None] * late).sum(axis=2, keepdims=True)], axis=2)
        points = cells.reshape(-1, self.n_windows + 1)
        # exp(-1e4) is 0, and 0 · 1e4 is 0: a window that never arrives has no packet.
        logs = np.where(points > 0, np.log(np.maximum(points, 1e-320)), -1e4)
        result = np.empty((len(points), hot.shape[1]))
        step = max(CHUNK // len(counts), 1)
        for start in range(0, len(points), step):
            result[start : start + step] = np.exp(logs[start : start + step] @ counts.T + log) @ hot
        return np.moveaxis(result.reshape(len(gammas), -1, len(granted), self.n_outcomes), 2, 0)


class ByRecursion(Expectation):
    """The recursions of the closed forms, on packets of which some are granted."""

    def _given(self, gammas: Floats, row: int, taken: int, granted: Sequence[tuple[int, ...]]) -> Floats:
        decoding, units = self.decoding, self.decoding.sizes.size
        member = (decoding.unit_of_window[:, None] == np.arange(units)).astype(np.float64)
        shape = (len(gammas) * self.arrivals.n_points, -1)
        cells = ((gammas[:, None] * self.arrivals.arrived[:, row]) @ member).reshape(shape)
        absent = (gammas[:, None] * self.arrivals.late[:, row]).sum(axis=2).ravel()
        # One row per point and set of granted windows.
        rows, total = len(cells) * len(granted), int(self.arrivals.total[row]) - taken
        base = DrawnCounts(np.tile(cells, (len(granted), 1)), np.tile(absent, len(granted)), np.full(rows, total))
        extra = np.array([[np.isin(decoding.unit_of_window[list(some)], u).sum() for u in range(units)] for some in granted])
        counts = _Granted(base, np.repeat(extra.astype(np.int64), len(cells), axis=0))
        law = chain.last_saturated(counts, decoding.sizes) if decoding.kind == "chain" else _patterns(counts, decoding.sizes)
        return law.reshape(len(granted), len(gammas), -1, self.n_outcomes)


def _patterns(counts: ProductForm, sizes: Ints) -> Floats:
    """Return the probabilities of all patterns of decoded disjoint windows, bit u for window u, shape (points, 2^U)."""
    points, length = counts.reach.shape[0], counts.cap + 1
    joint = np.ones((points, 1))  # by the packets so far; patterns follow each other along the rows
    for unit, size in enumerate(sizes.tolist()):
        weight = counts.weight(unit, counts.most(unit))
        short = np.where(np.arange(weight.shape[1]) < size, weight, 0.0)
        repeat = len(joint) // points
        grown = [convolve(joint, np.tile(part, (repeat, 1)), length) for part in (short, weight - short)]
        joint = np.concatenate(grown)
    rest = counts.others(range(sizes.size), joint.shape[1] - 1)
    return np.asarray((joint.reshape(-1, points, joint.shape[1]) * rest).sum(axis=2).T)


class _Granted(ProductForm):
    """Counts to which fixed numbers of packets are added.

    Parameters
    ----------
    base : ProductForm
    extra : (points, windows) int64
    """

    def __init__(self, base: ProductForm, extra: Ints) -> None:
        assert base.total is not None
        self.total = base.total + extra.sum(axis=1)
        self.reach = base.reach + extra
        self._base, self._extra = base, extra

    def weight(self, window: int, most: int) -> Floats:
        """Return the probabilities, shifted."""
        return _shifted(self._base.weight(window, most), self._extra[:, window])

    def others(self, windows: Sequence[int], most: int) -> Floats:
        """Return the probabilities of what is left, shifted by what `windows` were granted."""
        return _shifted(self._base.others(windows, most), self._extra[:, list(windows)].sum(axis=1))

    def kind(self, window: int) -> tuple[object, bytes]:
        """Return the key of the base with the extra packets."""
        return self._base.kind(window), self._extra[:, window].tobytes()


def _shifted(table: Floats, by: Ints) -> Floats:
    """Return a table whose rows have moved to the right, each by its own number of columns, zeros behind them."""
    moved = np.zeros_like(table)
    for steps in np.unique(by).tolist():
        rows = by == steps
        moved[rows, steps:] = table[rows, : table.shape[1] - steps]
    return moved


def compositions(total: int, parts: int) -> Ints:
    """Return all ways to write `total` as an ordered sum of `parts` numbers >= 0, shape (number, parts).

    Examples
    --------
    >>> compositions(2, 2).tolist()
    [[0, 2], [1, 1], [2, 0]]
    """
    if parts == 1:
        return np.array([[total]])
    bars = np.array(list(itertools.combinations(range(total + parts - 1), parts - 1)), dtype=np.int64)
    edges = np.concatenate([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), total + parts - 1)], axis=1)
    return np.asarray(np.diff(edges, axis=1) - 1)


def expectation(decoding: Decoding, arrivals: Arrivals) -> Expectation:
    """Return the quicker implementation."""
    states = math.comb(arrivals.most + decoding.work.size, decoding.work.size)
    return ByCounts(decoding, arrivals) if states <= MOST_STATES else ByRecursion(decoding, arrivals)

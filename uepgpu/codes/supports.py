"""The law of supports: what a code becomes for a given partition and number of workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["COEFFICIENTS", "PRIME", "Field", "SupportLaw", "is_whole", "largest_remainders", "maximal_rectangles", "term_rank"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Field = Literal["generic", "gf2", "gf256", "real"]

COEFFICIENTS = ("generic", "gf2", "gf256")
"""Coefficient fields that a user may choose; ``"real"`` is what an explicit generator matrix has."""

PRIME = 2**31 - 1
"""Generic coefficients, and whole numbers of a generator matrix, are eliminated modulo this."""


@dataclass(frozen=True, eq=False)
class SupportLaw:
    """Which sub-products a packet combines, by which law.

    Either windows (`supports`) or degrees (`degrees`, a uniformly drawn set of that size); either drawn for every
    packet (`probabilities`) or tied to workers (`window`).

    Attributes
    ----------
    n_subproducts : int
        K.
    work : (S,) int64
        True work r of a packet of each window: the number of block products that its worker forms.
    field : str
        ``"generic"`` real coefficients, uniform ones over ``"gf2"`` or ``"gf256"``, or ``"real"`` given ones.
    encoding : str
        The encoding that was resolved, for display.
    supports : (S, K) bool or None
    degrees : (S,) int64 or None
    probabilities : (S,) float64 or None
    window : (W,) int64 or None
        Window of every worker.
    generator : (W, K) float64 or None
        Given coefficients, one row per worker; the field is ``"real"`` then.
    """

    n_subproducts: int
    work: Ints
    field: Field
    encoding: str
    supports: Bools | None = None
    degrees: Ints | None = None
    probabilities: Floats | None = None
    window: Ints | None = None
    generator: Floats | None = None

    @property
    def tied(self) -> bool:
        """Whether packets are tied to workers instead of drawn."""
        return self.window is not None

    @property
    def occurring_work(self) -> Ints:
        """True work of the windows that can occur; windows of probability 0 do not count."""
        if self.window is not None:
            return self.work[self.window]
        assert self.probabilities is not None
        return self.work[self.probabilities > 0]

    @property
    def equal_work(self) -> bool:
        """Whether every packet that can occur has the same true work."""
        return len(set(self.occurring_work.tolist())) <= 1

    @property
    def packet_work(self) -> int | None:
        """True work of every packet that can occur, or None where they differ."""
        return int(self.occurring_work[0]) if self.equal_work else None


def is_whole(matrix: Floats) -> bool:
    """Return whether a generator matrix holds whole numbers only."""
    return bool(np.all(matrix == np.round(matrix)))


def term_rank(support: Bools) -> int:
    """Return the generic rank of a matrix with the given support, shape (N, P): its largest bipartite matching."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    matched = maximum_bipartite_matching(csr_array(support.astype(np.int8)), perm_type="column")
    return int(np.count_nonzero(np.asarray(matched) >= 0))


def largest_remainders(probabilities: Floats, count: int) -> Ints:
    """Return integers nearest to `probabilities` × `count` that sum to `count` (largest remainders, ties by index)."""
    share = np.asarray(probabilities) * count
    base = np.floor(share + 1e-9).astype(np.int64)
    remainder = share - base
    base[np.argsort(-np.round(remainder, 9), kind="stable")[: count - int(base.sum())]] += 1
    return base


def maximal_rectangles(staircase: Bools) -> list[tuple[int, int]]:
    """Return the maximal rectangles {1..i}×{1..j} of a staircase of level pairs as (i, j), top row first.

    Raises
    ------
    ValueError
        If the set is no staircase: (s, s') in it must imply all (i ≤ s, j ≤ s').
    """
    extent = staircase.sum(axis=1)
    if not np.array_equal(staircase, np.arange(staircase.shape[1])[None, :] < extent[:, None]) or np.any(np.diff(extent) > 0):
        raise ValueError(
            "window must be a staircase of block levels for encoding='factored': with a level pair it must hold every pair of "
            f"more important levels; got the level pairs {(np.argwhere(staircase) + 1).tolist()}. Use encoding='free', other "
            "classes, or other row_levels and col_levels"
        )
    below = np.append(extent[1:], 0)
    return [(s + 1, int(extent[s])) for s in range(extent.size) if extent[s] > below[s]]

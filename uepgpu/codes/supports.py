"""The law of supports: what a code becomes for a given partition and number of workers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.text.html import Described

__all__ = ["COEFFICIENTS", "PRIME", "Field", "SupportLaw", "largest_remainders", "maximal_rectangles", "residues", "term_rank"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Field = Literal["generic", "gf2", "gf256", "real"]

COEFFICIENTS = ("generic", "gf2", "gf256")
"""Fields that drawn coefficients may have; given ones may be ``"real"`` too, and are not ``"generic"``."""

PRIME = 2**31 - 1
"""Generic coefficients, and real ones of a generator matrix, are eliminated modulo this."""


@dataclass(frozen=True, eq=False)
class SupportLaw(Described):
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
        ``"generic"`` real coefficients, ``"gf2"`` or ``"gf256"`` (uniform, where none are given), or ``"real"`` given ones.
    encoding : str
        The encoding that was resolved, for display.
    supports : (S, K) bool or None
    degrees : (S,) int64 or None
    probabilities : (S,) float64 or None
    window : (W,) int64 or None
        Window of every worker.
    generator : (W, K) float64 or None
        Given coefficients, one row per worker; elements of GF(256) as whole numbers.
    by_message : (m, S) float64 or None
        Probabilities of the windows of the j-th message of every worker, where they differ; `probabilities` is then their mean.

    Examples
    --------
    >>> import uepgpu as uep
    >>> class Pairs:  # every packet combines two neighbours, drawn uniformly
    ...     def law(self, partition, n_workers):
    ...         k = partition.n_subproducts
    ...         supports = np.eye(k, dtype=bool) | np.roll(np.eye(k, dtype=bool), 1, axis=1)
    ...         work, equal = np.full(k, 2), np.full(k, 1 / k)
    ...         return uep.codes.SupportLaw(k, work, "generic", "stacked", supports=supports, probabilities=equal)
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> tally = uep.simulate(Pairs(), part, uep.Workers(6), realizations=1000, seed=7)
    >>> tally.loss(part).normalized_loss.values.round(2).tolist()
    [1.0, 1.0, 0.78, 0.04, 0.01, 0.0, 0.0]

    References
    ----------
    docs/mathematics.md §3.
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
    by_message: Floats | None = None

    @property
    def tied(self) -> bool:
        """Whether packets are tied to workers instead of drawn."""
        return self.window is not None

    @property
    def exchangeable(self) -> bool:
        """Whether every packet has the same law whichever worker sends it: drawn ones, or tied ones that are all alike."""
        if self.by_message is not None:
            return False
        return self.window is None or (self.generator is None and self.supports is not None and self._alike(self.supports))

    def _alike(self, supports: Bools) -> bool:
        used = supports[self.window]
        return bool(np.all(used == used[0]))

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


def residues(matrix: Floats) -> NDArray[np.uint64]:
    """Return real numbers modulo :data:`PRIME`, shape as given.

    Every float64 is an integer times a power of two, and 2 has an inverse: sums and products of such numbers are mapped to sums
    and products of residues, so that elimination decides as it would in exact arithmetic unless the prime divides a minor.

    Examples
    --------
    >>> residues(np.array([3.0, -1.0, 0.5])).tolist(), (3 * residues(np.array([1 / 3])) - 1).tolist() == [0]
    ([3, 2147483646, 1073741824], False)
    """
    fraction, exponent = np.frexp(matrix)
    digits = np.ldexp(fraction, 53).astype(np.int64) % PRIME
    # 2^31 is 1 modulo the prime.
    power = np.left_shift(np.uint64(1), ((exponent - 53) % 31).astype(np.uint64))
    return digits.astype(np.uint64) * power % np.uint64(PRIME)


def term_rank(support: Bools) -> int:
    """Return the generic rank of a matrix with the given support, shape (N, P): its largest bipartite matching."""
    return _term_rank(support.shape, support.astype(np.bool_).tobytes())


@lru_cache(maxsize=256)  # the points of a grid share their windows, and a matching takes half a millisecond
def _term_rank(shape: tuple[int, ...], support: bytes) -> int:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    matched = maximum_bipartite_matching(csr_array(np.frombuffer(support, dtype=np.int8).reshape(shape)), perm_type="column")
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

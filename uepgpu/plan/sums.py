"""Which sums of sub-products count as decoded although their terms are not: parts of C (docs/mathematics.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.codes.supports import PRIME, SupportLaw, residues

if TYPE_CHECKING:
    from uepgpu.partition import Partition

__all__ = ["sum_targets"]

Bools = NDArray[np.bool_]
U64 = NDArray[np.uint64]


def sum_targets(law: SupportLaw, part: Partition) -> Bools:
    """Return the sums that decoding looks for besides single sub-products, shape (T, K): True for the terms of each.

    Candidates are the sums of the first sub-products in order of class, those of a class by number, and of whole classes. They
    are sums of real numbers, which only given real coefficients decode without their terms, and parts of C in cxr alone: other
    problems have none. Neither are there any that all packets together do not give, or whose terms come in packets alone.
    Those that remain are nested or disjoint: where a class and a sum that ends inside it are both possible, one of them is left
    out, so that more packets never take away what fewer have given.

    Examples
    --------
    >>> from uepgpu import Partition, codes
    >>> part = Partition.model("cxr", left_variances=[4, 2, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> sum_targets(codes.Generator([[1, 0, 0], [0, 2, 2]]).law(part, 2), part).astype(int).tolist()
    [[1, 1, 1], [0, 1, 1]]
    >>> sum_targets(codes.MDS().law(part, 5), part).shape
    (0, 3)
    """
    k = part.n_subproducts
    if part.paradigm != "cxr" or law.field != "real" or law.generator is None:
        return np.zeros((0, k), dtype=np.bool_)
    place = np.argsort(np.argsort(part.classes, kind="stable"))
    prefixes = place < np.arange(k + 1)[:, None]  # by the number of terms
    whole = part.classes == np.arange(part.n_classes + 1)[:, None]
    possible = _given(law.generator, np.vstack([prefixes, whole]))
    ends, wanted = possible[: k + 1], possible[k + 1 :]
    wanted[1] = False  # the first class is a prefix
    last = np.cumsum(whole.sum(axis=1))
    for c in range(2, part.n_classes + 1):
        inside = slice(int(last[c - 1]) + 1, int(last[c]))
        if wanted[c] and ends[inside].any():
            if _are_packets(law.generator, prefixes[inside]):
                wanted[c] = False
            else:
                ends[inside] = False
    return np.vstack([prefixes[ends], whole[wanted]])


def _given(matrix: NDArray[np.float64], sums: Bools) -> Bools:
    """Return which sums of two terms or more all packets give, where some term comes together with others."""
    together = (matrix[np.count_nonzero(matrix, axis=1) > 1] != 0).any(axis=0)
    chosen = np.flatnonzero((sums.sum(axis=1) > 1) & (sums & together).any(axis=1))
    rows, pivots = residues(matrix), []
    for column in range(matrix.shape[1]):
        holding = np.flatnonzero(rows[:, column])
        if holding.size:
            inverse = np.uint64(pow(int(rows[holding[0], column]), -1, PRIME))
            pivots.append((_modulo(rows[holding[0], column:] * inverse), column))
            _clear(rows, *pivots[-1])
    left = sums[chosen].astype(np.uint64)
    if len(pivots) < matrix.shape[1]:  # else they give everything
        for pivot, column in pivots:
            _clear(left, pivot, column)
        chosen = chosen[~left.any(axis=1)]
    given = np.zeros(len(sums), dtype=np.bool_)
    given[chosen] = True
    return given


def _clear(rows: U64, pivot: U64, column: int) -> None:
    """Subtract multiples of a pivot's row, whose entries begin with a 1 in this column, in place."""
    hit = np.flatnonzero(rows[:, column])
    less = np.uint64(PRIME) - rows[hit, column, None]
    rows[hit, column:] = _modulo(rows[hit, column:] + less * pivot)


def _modulo(x: U64) -> U64:
    # NumPy divides by a constant several times faster than it takes a remainder.
    rest: U64 = x - x // np.uint64(PRIME) * np.uint64(PRIME)
    return rest


def _are_packets(matrix: NDArray[np.float64], sums: Bools) -> bool:
    """Return whether some packet is a multiple of one of the sums."""
    first = np.take_along_axis(matrix, np.argmax(matrix != 0, axis=1)[:, None], axis=1)
    plain = (matrix == first) | (matrix == 0)
    supports = matrix[plain.all(axis=1)] != 0
    return bool((supports[:, None, :] == sums).all(axis=2).any())

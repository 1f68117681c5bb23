"""Nested windows W_1 ⊂ W_2 ⊂ … (EW, bounding boxes): what a window adds to the one before is decoded as a whole.

R_0 = 0, R_i = min(R_(i-1) + n_i, K_i); increments 1..ℓ* are decoded, ℓ* = max{i : R_i = K_i} (docs/mathematics.md §3).
{ℓ* = j} is {R_j = K_j} together with the tail pattern {n_(j+1) + … + n_i < K_i - K_j for all i > j}. And R_j = K_j iff the
counts added up from window j downwards reach what is missing below: n_(i+1) + … + n_j >= K_j - K_i for all i < j. So the sum is
followed downwards until it is K_j, from where on nothing can fail. Every term is a product of probabilities, none is subtracted:
Pr[ℓ* = j] is as accurate where it is 1e-300 as where it is 1/2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.theory.arrays import both_sides, convolve
from uepgpu.theory.in_turn import JointCounts

if TYPE_CHECKING:
    from uepgpu.theory.count_laws import ProductForm

__all__ = ["decoded_prefix", "last_saturated"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def last_saturated(counts: ProductForm | JointCounts, sizes: Ints) -> Floats:
    """Return Pr[ℓ* = j] for j = 0..L, shape (points, L + 1).

    Parameters
    ----------
    counts : ProductForm or JointCounts
        Counts of the windows, smallest window first.
    sizes : (L,) int64
        Sub-products that each window adds.
    """
    if isinstance(counts, JointCounts):
        return counts.last_saturated(sizes)
    n = sizes.size
    ends = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    weights = [counts.weight(i, counts.most(i)) for i in range(n)]
    rest = [counts.others(range(i, n), counts.cap) for i in range(n)]  # by packets of windows i+1..L
    result = np.zeros((counts.reach.shape[0], n + 1))
    for j in range(n + 1):
        tail = np.ones((result.shape[0], 1))  # by the packets of windows j+1..L
        for i in range(j, n):
            tail = convolve(tail, weights[i], ends[i + 1] - ends[j])
        if j == 0:
            tail = tail[:, : counts.cap + 1]
            result[:, 0] = (tail * rest[0][:, : tail.shape[1]]).sum(axis=1)
        behind = np.ones((result.shape[0], 1))  # by the packets of windows i+2..j, fewer than K_j
        for i in range(j - 1, -1, -1):
            grown = convolve(behind, weights[i], counts.cap + 1)
            if grown.shape[1] > ends[j]:
                arrived = convolve(tail, grown[:, ends[j] :], counts.cap + 1 - ends[j])
                result[:, j] += (arrived * rest[i][:, ends[j] : ends[j] + arrived.shape[1]]).sum(axis=1)
            behind = grown[:, : ends[j]]
            behind[:, : ends[j] - ends[i]] = 0.0
    return result


def decoded_prefix(last: Floats) -> tuple[Floats, Floats]:
    """Return Q_l = Pr[ℓ* < l] and P_l = Pr[ℓ* >= l] for l = 1..L, shapes (points, L), each accurate where it is small."""
    return both_sides(np.cumsum(last, axis=1)[:, :-1], np.cumsum(last[:, ::-1], axis=1)[:, ::-1][:, 1:])

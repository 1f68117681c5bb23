"""Nested windows W_1 ⊂ W_2 ⊂ … (EW, bounding boxes): what a window adds to the one before is decoded as a whole.

R_0 = 0, R_i = min(R_(i-1) + n_i, K_i); increments 1..ℓ* are decoded, ℓ* = max{i : R_i = K_i} (docs/mathematics.md §3).
{ℓ* = j} is {R_j = K_j} together with the tail pattern {n_(j+1) + … + n_i < K_i - K_j for all i > j}, which has fewer
than K_L - K_j packets. With h_ji(m) = Pr[pattern up to i, m packets in it] and
S_i(n) = Pr[R_i = K_i, n packets in windows 1..i or absent],

    S_i(n) = Pr[n] - Σ_(j<i) Σ_m h_ji(m) S_j(n - m),    Pr[ℓ* = j] = Σ_m h_jL(m) S_j(W - m) / Pr[W].

The difference is harmless: its rounding error, times the tail pattern, is small against the probability of that pattern
with R_j < K_j, in which the later increments are undecoded as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.theory.arrays import convolve, correlate

if TYPE_CHECKING:
    from uepgpu.theory.counts import ProductForm

__all__ = ["decoded_prefix", "last_saturated"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _saturable(counts: ProductForm, ends: Ints) -> Bools:
    """Whether R_i = K_i is possible for i = 0..L, shape (points, L + 1)."""
    cumulated = np.concatenate([np.zeros((counts.reach.shape[0], 1), dtype=np.int64), np.cumsum(counts.reach, axis=1)], axis=1)
    result = np.ones(cumulated.shape, dtype=np.bool_)
    for i in range(1, ends.size):
        enough = cumulated[:, i, None] - cumulated[:, :i] >= ends[i] - ends[:i]
        result[:, i] = enough.all(axis=1) & (True if counts.total is None else counts.total >= ends[i])
    return result


def last_saturated(counts: ProductForm, sizes: Ints) -> tuple[Floats, Bools]:
    """Return Pr[ℓ* = j] for j = 0..L and whether increments 1..L can be decoded at all.

    Parameters
    ----------
    counts : ProductForm
        Counts of the windows, smallest window first.
    sizes : (L,) int64
        Sub-products that each window adds.

    Returns
    -------
    last : (points, L + 1) float64
    decodable : (points, L) bool
    """
    ends = np.concatenate([[0], np.cumsum(sizes)])
    n = sizes.size
    possible = _saturable(counts, ends)
    saturated: list[Floats] = []
    tails: list[Floats] = []
    for i in range(n + 1):
        depth = max(int(ends[n] - ends[i]), 1)
        if i:
            added = counts.weight(i - 1, int(ends[i]) - 1)
            tails = [convolve(tail, added[:, : ends[i] - ends[j]], int(ends[i] - ends[j])) for j, tail in enumerate(tails)]
        value = counts.others(range(i, n), depth - 1)
        for j in range(i):
            value = value - correlate(tails[j], saturated[j], depth)
        saturated.append(np.where(possible[:, i, None], np.maximum(value, 0.0), 0.0))
        tails.append(np.ones((value.shape[0], 1)))
    last = np.stack([(tail * s[:, : tail.shape[1]]).sum(axis=1) for tail, s in zip(tails, saturated, strict=True)], axis=1)
    return last, np.logical_or.accumulate(possible[:, :0:-1], axis=1)[:, ::-1]


def decoded_prefix(last: Floats, decodable: Bools) -> tuple[Floats, Floats]:
    """Return Q_l = Pr[ℓ* < l] and P_l = Pr[ℓ* >= l] for l = 1..L, shapes (points, L), each accurate where it is small."""
    low = np.cumsum(last, axis=1)[:, :-1]
    high = np.cumsum(last[:, ::-1], axis=1)[:, ::-1][:, 1:]
    q = np.where(decodable, np.minimum(low, 1.0), 1.0)
    p = np.where(decodable, np.where(q < 0.5, 1.0 - q, np.minimum(high, 1.0)), 0.0)
    return q, p

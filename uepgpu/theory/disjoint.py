"""Disjoint windows (NOW, MDS, level-pair, uncoded, repetition): a window of size k is decoded iff k of its packets arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uepgpu.codes.supports import Field
    from uepgpu.theory.counts import Counts

__all__ = ["all_decoded", "both_undecoded", "undecoded"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ORDER = {"gf2": 2, "gf256": 256}
"""Number of elements q of the finite fields."""


def _short(counts: Counts, window: int, size: int) -> NDArray[np.bool_]:
    """Whether the window certainly receives fewer than `size` packets; shape (points,)."""
    most = counts.reach[:, window] if counts.total is None else np.minimum(counts.reach[:, window], counts.total)
    return np.asarray(most < size)


def _undecoded(counts: Counts, window: int, size: int) -> Floats:
    """Q_u of one window, shape (points,)."""
    value = np.minimum(counts.expect([window], [np.ones(size)]), 1.0)
    return np.where(_short(counts, window, size), 1.0, value)


def undecoded(counts: Counts, sizes: Ints) -> Floats:
    """Return Q_u = Pr[window u undecoded] for generic coefficients, shape (points, windows)."""
    result = np.empty(counts.reach.shape)
    known: dict[object, Floats] = {}
    for u, size in enumerate(sizes.tolist()):
        kind = (size, counts.kind(u))
        if kind not in known:
            known[kind] = _undecoded(counts, u, size)
        result[:, u] = known[kind]
    return result


def both_undecoded(counts: Counts, sizes: Ints, pairs: Sequence[tuple[int, int]]) -> Floats:
    """Return Q_uv = Pr[windows u and v both undecoded] for pairs of different windows, shape (points, pairs)."""
    result = np.empty((counts.reach.shape[0], len(pairs)))
    kinds = [(int(size), counts.kind(u)) for u, size in enumerate(sizes)]
    known: dict[object, Floats] = {}
    for column, (u, v) in enumerate(pairs):
        kind = frozenset((kinds[u], kinds[v]))
        if kind not in known:
            known[kind] = counts.expect([u, v], [np.ones(sizes[u]), np.ones(sizes[v])])
        result[:, column] = known[kind]
    return np.minimum(result, 1.0)


def _decoded_given_count(size: int, most: int, field: Field) -> Floats:
    """Pr[a window of `size` sub-products is decoded | n packets] for n = 0..most (docs/mathematics.md §3)."""
    n = np.arange(most + 1)
    result = (n >= size).astype(np.float64)
    if field in ORDER:
        for j in range(min(size, most + 1)):
            result[size:] *= -np.expm1(-(n[size:] - j) * np.log(ORDER[field]))
    return result


def all_decoded(counts: Counts, sizes: Ints, windows: Sequence[int], field: Field) -> Floats:
    """Return Pr[all of `windows` decoded], shape (points,); coefficients uniform if `field` is a finite one."""
    most = counts.reach.max(axis=0)
    value = counts.expect(windows, [_decoded_given_count(int(sizes[u]), int(most[u]), field) for u in windows])
    if field in ORDER:
        return np.minimum(value, 1.0)
    # Near 1 the lower tails are more accurate; they bound the value from both sides, and for one window they give it.
    failing = np.stack([_undecoded(counts, u, int(sizes[u])) for u in windows], axis=1)
    bounded = np.clip(value, 1.0 - failing.sum(axis=1), 1.0 - failing.max(axis=1))
    return np.where(failing.sum(axis=1) < 0.5, bounded, np.minimum(value, 1.0))

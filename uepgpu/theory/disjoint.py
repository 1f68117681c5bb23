"""Disjoint windows (NOW, MDS, level-pair, uncoded, repetition): a window of size k is decoded iff k of its packets arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.theory.arrays import both_sides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uepgpu.codes.supports import Field
    from uepgpu.theory.count_laws import CountLaw

__all__ = ["all_decoded", "both_undecoded", "undecoded"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ORDER = {"gf2": 2, "gf256": 256}
"""Number of elements q of the finite fields."""


def _short(counts: CountLaw, window: int, size: int) -> NDArray[np.bool_]:
    """Whether the window certainly receives fewer than `size` packets; shape (points,)."""
    most = counts.reach[:, window] if counts.total is None else np.minimum(counts.reach[:, window], counts.total)
    return np.asarray(most < size)


def _undecoded(counts: CountLaw, window: int, size: int) -> Floats:
    """Q_u of one window, shape (points,)."""
    value = np.minimum(counts.expect([window], [np.ones(size)]), 1.0)
    return np.where(_short(counts, window, size), 1.0, value)


def undecoded(counts: CountLaw, sizes: Ints) -> Floats:
    """Return Q_u = Pr[window u undecoded] for generic coefficients, shape (points, windows)."""
    result = np.empty(counts.reach.shape)
    known: dict[object, Floats] = {}
    for u, size in enumerate(sizes.tolist()):
        kind = (size, counts.kind(u))
        if kind not in known:
            known[kind] = _undecoded(counts, u, size)
        result[:, u] = known[kind]
    return result


def both_undecoded(counts: CountLaw, sizes: Ints, pairs: Sequence[tuple[int, int]]) -> Floats:
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


def _given_count(size: int, most: int, field: Field) -> tuple[Floats, Floats]:
    """Pr[a window of `size` sub-products is decoded | n packets] and Pr[it is not], n = 0..most (docs/mathematics.md §3)."""
    n = np.arange(most + 1)
    decoded = (n >= size).astype(np.float64)
    if field not in ORDER:
        return decoded, 1.0 - decoded
    log = np.zeros(max(most + 1 - size, 0))
    for j in range(size):
        log += np.log1p(-np.exp(-(n[size:] - j) * np.log(ORDER[field])))
    decoded[size:] = np.exp(log)
    return decoded, np.append(np.ones(min(size, most + 1)), -np.expm1(log))


def all_decoded(counts: CountLaw, sizes: Ints, windows: Sequence[int], field: Field) -> tuple[Floats, Floats]:
    """Return Pr[some of `windows` not decoded] and Pr[all decoded], shapes (points,), each accurate where it is small.

    Coefficients are uniform if `field` is a finite one.
    """
    given = [_given_count(int(sizes[u]), counts.most(u), field) for u in windows]
    decoded = counts.expect(windows, [good for good, _ in given])
    # The first window that fails is one of them, whatever those behind it do.
    failed = sum(counts.expect(windows[: i + 1], [*(good for good, _ in given[:i]), bad]) for i, (_, bad) in enumerate(given))
    return both_sides(np.asarray(failed), decoded)

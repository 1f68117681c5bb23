"""Importance: which sub-products belong to which class, judged by what the server knows before multiplying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import integer_array, shown, sizes

__all__ = ["MAX_CLASSES", "Classes", "assign_classes", "assign_levels", "rank_by_score"]

MAX_CLASSES = 8
"""A class pattern is tallied in 2^L counters, so L is bounded."""

Classes = Sequence[int] | ArrayLike | Literal["auto"]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def rank_by_score(score: Floats) -> Ints:
    """Return indices in order of decreasing score, ties by index; shape (n,)."""
    # Scores are products of square roots: equal ones may differ in the last bits and must still tie.
    rounded = np.array([float(f"{x:.12e}") for x in score])
    return np.argsort(-rounded, kind="stable")


def assign_classes(classes: Classes, score: Floats, shape: tuple[int, ...]) -> Ints:
    """Return the class of every sub-product, counted from 1, shape (K,).

    Parameters
    ----------
    classes : sequence of int, table or "auto"
        Sizes of the classes, most important first, which must sum to K; or a table of class numbers of shape
        `shape` (rxc: (rows, cols); cxr: use a table of shape (blocks, 1)); or ``"auto"``.
    score : (K,) float64
        ‖A_n‖·‖B_p‖ of every sub-product.
    shape : tuple of int
        (N, P) for rxc, (M,) for cxr.
    """
    n = score.size
    if isinstance(classes, str):
        if classes != "auto":
            raise ValueError(f"classes must be sizes, a table of class numbers or 'auto', got {shown(classes)}")
        return _natural_breaks(score)
    array = integer_array("classes", classes)
    table_shape = shape if len(shape) == 2 else (*shape, 1)
    if array.ndim == 2:
        if array.shape != table_shape:
            raise ValueError(f"classes as a table must have shape {table_shape}, one class per sub-product, got {array.shape}")
        labels = array.ravel()
        highest = int(labels.max())
        found = sorted(set(labels.tolist()))
        if found != list(range(1, len(found) + 1)):
            raise ValueError(f"classes as a table must number the classes 1..L without gaps, got {shown(found)}")
    elif array.ndim == 1:
        labels = _by_score(sizes("classes", classes, n, f"K = {n} sub-products"), score)
        highest = array.size
    else:
        raise ValueError(f"classes must be sizes (one-dimensional) or a table of shape {table_shape}, got {array.ndim} dimensions")
    if highest > MAX_CLASSES:
        raise ValueError(f"classes: at most {MAX_CLASSES} classes are supported, got {highest}")
    return labels


def _natural_breaks(score: Floats, most: int = 3) -> Ints:
    """Cut the sorted log-scores into at most three groups of least within-group variance (Jenks), exactly."""
    order = rank_by_score(score)
    above_zero = score[score > 0]
    # Blocks without energy are put well below the least of the others; a logarithm needs positive numbers.
    floor = max(float(above_zero.min()) * 1e-3, float(np.finfo(np.float64).smallest_subnormal)) if above_zero.size else 1.0
    x = np.log(np.maximum(score[order], floor))
    n = x.size
    groups = min(most, len({round(v, 9) for v in x.tolist()}))
    s1, s2 = np.concatenate([[0.0], np.cumsum(x)]), np.concatenate([[0.0], np.cumsum(x * x)])

    def spread(i: Ints, j: int) -> Floats:
        return np.asarray(s2[j] - s2[i] - (s1[j] - s1[i]) ** 2 / (j - i))

    # best[j]: least spread of the first j scores in g groups, the last of which begins at begin[g - 2][j].
    zero = np.zeros(1, dtype=np.int64)
    best = np.array([np.inf, *(spread(zero, j)[0] for j in range(1, n + 1))])
    begin = []
    for g in range(2, groups + 1):
        least, starts = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
        for j in range(g, n + 1):
            i = np.arange(g - 1, j)
            total = best[i] + spread(i, j)
            at = int(np.argmin(total))
            least[j], starts[j] = total[at], i[at]
        best = least
        begin.append(starts)
    labels = np.empty(n, dtype=np.int64)
    end = n
    for g in range(groups, 0, -1):
        start = int(begin[g - 2][end]) if g > 1 else 0
        labels[order[start:end]] = g
        end = start
    return labels


def assign_levels(name: str, counts: Sequence[int] | None, norm: Floats) -> Ints:
    """Return the level of every block, counted from 1, most important first; `counts` None gives one block per level."""
    n = norm.size
    return _by_score(np.ones(n, dtype=np.int64) if counts is None else sizes(name, counts, n, f"{n} blocks"), norm)


def _by_score(counts: Ints, score: Floats) -> Ints:
    """Give label 1 to the counts[0] highest scores, 2 to the next counts[1], and so on."""
    labels = np.empty(score.size, dtype=np.int64)
    labels[rank_by_score(score)] = np.repeat(np.arange(1, counts.size + 1), counts)
    return labels

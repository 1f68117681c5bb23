"""Importance: which sub-products belong to which class, judged by what the server knows before multiplying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
            raise ValueError(f"classes must be sizes, a table of class numbers or 'auto', got {classes!r}")
        return _natural_breaks(score)
    raw = np.asarray(classes)
    if raw.dtype.kind not in "iu" or raw.size == 0:
        raise ValueError(f"classes must hold integers, got {classes!r}")
    array = raw.astype(np.int64)
    table_shape = shape if len(shape) == 2 else (*shape, 1)
    if array.ndim == 2:
        if array.shape != table_shape:
            raise ValueError(f"classes as a table must have shape {table_shape}, one class per sub-product, got {array.shape}")
        labels = array.ravel()
        highest = int(labels.max())
        if sorted(set(labels.tolist())) != list(range(1, highest + 1)):
            raise ValueError(f"classes as a table must number the classes 1..L without gaps, got {sorted(set(labels.tolist()))}")
    elif array.ndim == 1:
        if np.any(array < 1) or array.sum() != n:
            raise ValueError(f"classes must be sizes >= 1 that sum to K = {n} sub-products, got {tuple(array.tolist())}")
        labels = np.empty(n, dtype=np.int64)
        labels[rank_by_score(score)] = np.repeat(np.arange(1, array.size + 1), array)
        highest = array.size
    else:
        raise ValueError(f"classes must be sizes (one-dimensional) or a table of shape {table_shape}, got {array.ndim} dimensions")
    if highest > MAX_CLASSES:
        raise ValueError(f"classes: at most {MAX_CLASSES} classes are supported, got {highest}")
    return labels


def _natural_breaks(score: Floats, most: int = 3) -> Ints:
    """Cut the sorted log-scores into at most three groups of least within-group variance (Jenks), exactly."""
    order = rank_by_score(score)
    positive = score[score > 0]
    floor = positive.min() * 1e-3 if positive.size else 1.0
    x = np.log(np.maximum(score[order], floor))
    n = x.size
    groups = min(most, len({round(v, 9) for v in x.tolist()}))
    s1, s2 = np.concatenate([[0.0], np.cumsum(x)]), np.concatenate([[0.0], np.cumsum(x * x)])

    def spread(i: int, j: int) -> float:
        return float(s2[j] - s2[i] - (s1[j] - s1[i]) ** 2 / (j - i))

    best = {(1, j): (spread(0, j), 0) for j in range(1, n + 1)}
    for g in range(2, groups + 1):
        for j in range(g, n + 1):
            best[g, j] = min((best[g - 1, i][0] + spread(i, j), i) for i in range(g - 1, j))
    labels = np.empty(n, dtype=np.int64)
    end = n
    for g in range(groups, 0, -1):
        start = best[g, end][1]
        labels[order[start:end]] = g
        end = start
    return labels


def assign_levels(name: str, sizes: Sequence[int] | None, norm: Floats) -> Ints:
    """Return the level of every block, counted from 1, most important first; `sizes` None gives one block per level."""
    n = norm.size
    counts = np.ones(n, dtype=np.int64) if sizes is None else np.asarray(sizes)
    if counts.dtype.kind not in "iu" or counts.ndim != 1 or np.any(counts < 1) or counts.sum() != n:
        raise ValueError(f"{name} must be sizes >= 1 that sum to {n} blocks, got {sizes!r}")
    levels = np.empty(n, dtype=np.int64)
    levels[rank_by_score(norm)] = np.repeat(np.arange(1, counts.size + 1), counts)
    return levels

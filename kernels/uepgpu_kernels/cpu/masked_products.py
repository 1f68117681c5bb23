"""Masked products on the CPU, around a matrix product that a library does: what to multiply, and where results go.

Factors are stacks of matrices in rows, shapes (R, B, n): the left one is used by its rows, δ·W, or transposed, δᵀ·X. Of
row-times-column products only the rows and columns that hold a tile of non-zero weight are gathered, of column-times-row ones
only the summands.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.cpu.compile import entry, stage
from uepgpu_kernels.cpu.slice_scores import label_slices, score_columns, score_rows, select

__all__ = ["Picked", "add_tiles", "pick_summands", "pick_tiles"]

Array = NDArray[Any]


@stage
def _take_columns(matrix: Any, index: Any, count: int, packed: Any) -> None:
    for i in range(matrix.shape[0]):
        row, start = matrix[i], i * count
        for j in range(count):
            packed[start + j] = row[index[j]]


@stage
def _take_rows(matrix: Any, index: Any, count: int, packed: Any) -> None:
    width = matrix.shape[1]
    for i in range(count):
        row, start = matrix[index[i]], i * width
        for j in range(width):
            packed[start + j] = row[j]


def _pick_tiles(
    left: Any, right: Any, transposed: bool, table: Any, order: int, row: Any, col: Any, label: Any, count: Any, a: Any, b: Any
) -> None:
    for r in range(left.shape[0]):
        n, p = table.shape[1:]
        rows, cols = np.zeros(n, dtype=np.bool_), np.zeros(p, dtype=np.bool_)
        for i in range(n):
            for j in range(p):
                if table[r, i, j] != 0:
                    rows[i] = True
                    cols[j] = True
        if not rows.any():
            count[r, 0] = 0
            count[r, 1] = 0
            continue
        u, q = row.shape[1], col.shape[1]
        score = np.empty(u, dtype=left.dtype)
        if order != 0:
            if transposed:
                score_columns(left[r], order, score)
            else:
                score_rows(left[r], order, score)
        label_slices(score, order, n, label[r, :u])
        score = np.empty(q, dtype=left.dtype)
        if order != 0:
            score_columns(right[r], order, score)
        label_slices(score, order, p, label[r, u:])
        count[r, 0] = select(label[r, :u], rows, row[r])
        count[r, 1] = select(label[r, u:], cols, col[r])
        if count[r, 0] < u:
            if transposed:
                _take_columns(left[r], row[r], count[r, 0], a[r])
            else:
                _take_rows(left[r], row[r], count[r, 0], a[r])
        if count[r, 1] < q:
            _take_columns(right[r], col[r], count[r, 1], b[r])


def _pick_summands(
    left: Any, right: Any, transposed: bool, weights: Any, order: int, inner: Any, label: Any, count: Any, a: Any, b: Any
) -> None:
    for r in range(left.shape[0]):
        wanted = weights[r] != 0
        if not wanted.any():
            count[r, 0] = 0
            continue
        h, width = inner.shape[1], right.shape[2]
        score, other = np.empty(h, dtype=left.dtype), np.empty(h, dtype=left.dtype)
        both = np.empty(h, dtype=np.float64)  # products of scores have the square of their range
        if order != 0:
            if transposed:
                score_rows(left[r], order, score)
            else:
                score_columns(left[r], order, score)
            score_rows(right[r], order, other)
            for i in range(h):
                both[i] = np.float64(score[i]) * other[i]
        label_slices(both, order, weights.shape[1], label[r])
        count[r, 0] = select(label[r], wanted, inner[r])
        if transposed:
            _take_rows(left[r], inner[r], count[r, 0], a[r])
        else:
            _take_columns(left[r], inner[r], count[r, 0], a[r])
        for i in range(count[r, 0]):
            source, start = right[r, inner[r, i]], i * width
            factor = left.dtype.type(weights[r, label[r, inner[r, i]]])
            for j in range(width):
                b[r, start + j] = factor * source[j]


def _add_tiles(target: Any, product: Any, table: Any, row: Any, col: Any, label: Any, count: Any, alpha: float) -> None:
    u, q = target.shape[1:]
    n = table.shape[1]
    for r in range(target.shape[0]):
        rows, cols = count[r]
        factor = np.empty((n, cols), dtype=target.dtype)
        for i in range(n):
            for j in range(cols):
                factor[i, j] = alpha * table[r, i, label[r, u + col[r, j]]]
        for i in range(rows):
            f, start = factor[label[r, row[r, i]]], i * cols
            into = target[r, row[r, i]]
            if cols == q:
                for j in range(q):
                    into[j] += f[j] * product[r, start + j]
            else:
                for j in range(cols):
                    into[col[r, j]] += f[j] * product[r, start + j]


_pick_tiles_entry = entry(_pick_tiles)
_pick_summands_entry = entry(_pick_summands)
_add_tiles_entry = entry(_add_tiles)


class Picked:
    """What is multiplied, and where it belongs.

    Attributes
    ----------
    count : list of [rows, columns], or [summands, 0], of each matrix of the stack
    a, b : (R, ·) arrays
        Gathered factors in rows, where they are not taken whole.
    """

    def __init__(self, left: Array, right: Array, index: tuple[Array, Array], label: Array, counts: Array) -> None:
        self.row, self.col = index
        self.label, self.counts = label, counts
        r = left.shape[0]
        self.a = np.empty((r, left.shape[1] * left.shape[2]), dtype=left.dtype)
        self.b = np.empty((r, right.shape[1] * right.shape[2]), dtype=left.dtype)
        self.count: list[list[int]] = []


def pick_tiles(left: Array, right: Array, *, transposed: bool, table: Array, order: int) -> Picked:
    """Score, cut and gather for the tiles of non-zero weight.

    Parameters
    ----------
    left, right : (R, B, u) and (R, H, Q) arrays of one dtype, C-contiguous
        `left` holds rows of the product (B = U, u = H) or, `transposed`, columns (B = H, u = U).
    table : (R, N, P) float64
        Weights of the tiles.
    order : int
        0 unsorted, 1 by norm, 2 by mean absolute value.
    """
    r, u, q = left.shape[0], left.shape[2 if transposed else 1], right.shape[2]
    index = np.empty((r, u), dtype=np.int64), np.empty((r, q), dtype=np.int64)
    picked = Picked(left, right, index, np.empty((r, u + q), dtype=np.int64), np.zeros((r, 2), dtype=np.int64))
    _pick_tiles_entry(
        left, right, transposed, table, order, picked.row, picked.col, picked.label, picked.counts, picked.a, picked.b
    )
    picked.count = picked.counts.tolist()
    return picked


def pick_summands(left: Array, right: Array, *, transposed: bool, weights: Array, order: int) -> Picked:
    """Score, cut and gather for the summands of non-zero weight, weights (R, M) multiplied in; arguments as above."""
    r, h = left.shape[0], right.shape[1]
    inner = np.empty((r, h), dtype=np.int64)
    picked = Picked(left, right, (inner, inner), np.empty((r, h), dtype=np.int64), np.zeros((r, 2), dtype=np.int64))
    _pick_summands_entry(left, right, transposed, weights, order, inner, picked.label, picked.counts, picked.a, picked.b)
    picked.count = picked.counts.tolist()
    return picked


def add_tiles(target: Array, product: Array, table: Array, picked: Picked, alpha: float) -> None:
    """Add `alpha` times the weighted tiles to `target` (R, U, Q); `product` (R, U·Q) holds each matrix's rows × columns first."""
    _add_tiles_entry(target, product, table, picked.row, picked.col, picked.label, picked.counts, alpha)

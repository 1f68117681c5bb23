"""Decoding weights in floating point: Gauss-Jordan elimination with complete pivoting, one realization."""

from __future__ import annotations

from typing import Any

from uepgpu_kernels.bodies.body import body

__all__ = ["reduce_rows", "write_weights"]

TOLERANCE = 1e-10
"""A remaining coefficient below this share of the largest one counts as zero."""


@body
def reduce_rows(rows: Any, combination: Any, n: Any, k: Any, pivot_row: Any, pivot_column: Any, used: Any) -> Any:
    """Bring n rows of k coefficients to reduced form in place; return the rank.

    Row i becomes, up to rows that are not pivots, the sum over t of ``combination[i, t]`` times the original row
    ``pivot_row[t]``. `used` (n,) tells whether a row is a pivot row.
    """
    scale = 0.0
    for i in range(n):
        used[i] = 0
        for j in range(k):
            combination[i, j] = 0.0
            scale = max(scale, abs(rows[i, j]))
    rank = 0
    searching = scale > 0.0
    while searching and rank < k and rank < n:
        best = scale * TOLERANCE
        at = -1
        column = -1
        for i in range(n):
            if used[i] == 0:
                for j in range(k):
                    if abs(rows[i, j]) > best:
                        best = abs(rows[i, j])
                        at = i
                        column = j
        if at < 0:
            searching = False
        else:
            used[at] = 1
            pivot_row[rank] = at
            pivot_column[rank] = column
            combination[at, rank] += 1.0
            factor = 1.0 / rows[at, column]
            for j in range(k):
                rows[at, j] *= factor
            for t in range(rank + 1):
                combination[at, t] *= factor
            for i in range(n):
                if i != at:
                    f = rows[i, column]
                    if f != 0.0:
                        for j in range(k):
                            rows[i, j] -= f * rows[at, j]
                        for t in range(rank + 1):
                            combination[i, t] -= f * combination[at, t]
                        rows[i, column] = 0.0
            rank += 1
    return rank


@body
def write_weights(
    rows: Any,
    combination: Any,
    k: Any,
    rank: Any,
    pivot_row: Any,
    pivot_column: Any,
    packet: Any,
    wanted: Any,
    found: Any,
    weights: Any,
) -> None:
    """Write the weights of packets that give each wanted sub-product, and which sub-products the rows give at all.

    `packet` maps rows to packet numbers; `weights` (K, W) is zero on entry; `found` (K,) becomes 1 where X_k is decodable.
    """
    for k_ in range(k):
        found[k_] = 0
    for s in range(rank):
        row = pivot_row[s]
        column = pivot_column[s]
        rest = 0.0
        for j in range(k):
            if j != column:
                rest = max(rest, abs(rows[row, j]))
        # Entries under other pivots are zero by elimination; what is left stands under columns without one.
        if rest <= 1e-7:
            found[column] = 1
        if wanted[column] != 0:
            for t in range(rank):
                weights[column, packet[pivot_row[t]]] = combination[row, t]

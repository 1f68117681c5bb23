"""Least squares in floating point, one realization: the pseudo-inverse of received rows, by an orthogonal factorization."""

from __future__ import annotations

import math
from typing import Any

from uepgpu_kernels.bodies.body import body

__all__ = ["orthogonalize", "write_inverse"]

TOLERANCE = 1e-13
"""Columns have norm 1 or 0 on entry; what is left of one below this counts as zero."""


@body
def orthogonalize(columns: Any, triangle: Any, order: Any, placed: Any, n: Any, k: Any) -> Any:
    """Factor k columns of n entries, ``columns[j, i]``, into orthonormal ones times a triangle; return the rank.

    The largest remaining column comes next: ``order[s]`` (k,) becomes the s-th, ``columns[order[s]]`` its unit vector q_s, and
    column j was the sum over s of ``triangle[s, j]`` q_s. `placed` (k,) tells which columns have had their turn.
    """
    for j in range(k):
        placed[j] = 0
    rank = 0
    searching = True
    while searching and rank < k and rank < n:
        best = TOLERANCE * TOLERANCE
        at = -1
        for j in range(k):
            if placed[j] == 0:
                square = 0.0
                for i in range(n):
                    square += columns[j, i] * columns[j, i]
                if square > best:
                    best = square
                    at = j
        if at < 0:
            searching = False
        else:
            # What cancellation has left of a column is orthogonal to the vectors before it only once it is made so again.
            for s in range(rank):
                share = 0.0
                for i in range(n):
                    share += columns[order[s], i] * columns[at, i]
                triangle[s, at] += share
                for i in range(n):
                    columns[at, i] -= share * columns[order[s], i]
            square = 0.0
            for i in range(n):
                square += columns[at, i] * columns[at, i]
            length = math.sqrt(square)
            if length <= TOLERANCE:
                searching = False
            else:
                placed[at] = 1
                order[rank] = at
                triangle[rank, at] = length
                for i in range(n):
                    columns[at, i] /= length
                for j in range(k):
                    if placed[j] == 0:
                        share = 0.0
                        for i in range(n):
                            share += columns[at, i] * columns[j, i]
                        triangle[rank, j] = share
                        for i in range(n):
                            columns[j, i] -= share * columns[at, i]
                rank += 1
    return rank


@body
def write_inverse(columns: Any, triangle: Any, order: Any, n: Any, rank: Any, packet: Any, part: Any, inverse: Any) -> None:
    """Write the rows of the pseudo-inverse that belong to decodable columns; `inverse` (K, W) is zero on entry.

    Rows of other columns are no inverse: zero, or a combination that leaves something of another column. `packet` maps entries
    to packet numbers, `part` (k,) is scratch.
    """
    for s in range(rank):
        # The combination Σ z_t q_t of the packets that gives column order[s] once and no other of the first `rank`.
        for t in range(s, rank):
            total = 1.0 if t == s else 0.0
            for u in range(s, t):
                total -= part[u] * triangle[u, order[t]]
            part[t] = total / triangle[t, order[t]]
        for t in range(s, rank):
            for i in range(n):
                inverse[order[s], packet[i]] += part[t] * columns[order[t], i]

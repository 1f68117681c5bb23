"""Decoding weights of many realizations on the CPU's cores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.bodies.solve import orthogonalize, write_inverse
from uepgpu_kernels.cpu.compile import entry
from uepgpu_kernels.cpu.threads import in_threads

__all__ = ["least_squares"]

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


def _nest(rows: Any, arrived: Any, inverse: Any) -> None:
    count, n, k = rows.shape
    columns = np.empty((k, n))
    triangle = np.empty((k, k))
    order = np.empty(k, dtype=np.int64)
    placed = np.empty(k, dtype=np.int64)
    packet = np.empty(n, dtype=np.int64)
    part = np.empty(k)
    for r in range(count):
        m = 0
        for w in range(n):
            if arrived[r, w] != 0:
                for j in range(k):
                    columns[j, m] = rows[r, w, j]
                packet[m] = w
                m += 1
        rank = orthogonalize(columns, triangle, order, placed, m, k)
        write_inverse(columns, triangle, order, m, rank, packet, part, inverse[r])


_entry = entry(_nest)


def least_squares(rows: Floats, arrived: Bytes, threads: int) -> Floats:
    """Return the weights of least norm that give each sub-product which the received rows give.

    Parameters
    ----------
    rows : (R, W, K) float64
        Coefficients, scaled so that the received part of every column has norm 1 or 0.
    arrived : (R, W) uint8
    threads : int

    Returns
    -------
    (R, K, W) float64
        Zero for what has not arrived. Rows of sub-products that cannot be decoded are zero or miss their unit row.
    """
    count, n, k = rows.shape
    inverse = np.zeros((count, k, n))

    def part(bounds: tuple[int, int]) -> None:
        cut = slice(*bounds)
        _entry(rows[cut], arrived[cut], inverse[cut])

    edges = np.linspace(0, count, 4 * threads + 1).astype(int) if count > 64 else np.array([0, count])
    bounds = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    if threads == 1 or len(bounds) == 1:
        for b in bounds:
            part(b)
    else:
        with in_threads(threads) as run_all:
            list(run_all(part, bounds))
    return inverse

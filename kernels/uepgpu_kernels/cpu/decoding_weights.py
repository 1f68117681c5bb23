"""Decoding weights of many realizations on the CPU's cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.bodies.solve import reduce_rows, write_weights
from uepgpu_kernels.cpu.compile import entry

__all__ = ["decoding_weights"]

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


def _nest(coefficients: Any, arrived: Any, wanted: Any, weights: Any, found: Any, condition: Any, residual: Any) -> None:
    count, n, k = coefficients.shape
    rows = np.empty((n, k))
    combination = np.empty((n, k))
    pivot_row = np.empty(k, dtype=np.int64)
    pivot_column = np.empty(k, dtype=np.int64)
    used = np.empty(n, dtype=np.int64)
    packet = np.empty(n, dtype=np.int64)
    for r in range(count):
        m = 0
        for w in range(n):
            if arrived[r, w] != 0:
                for j in range(k):
                    rows[m, j] = coefficients[r, w, j]
                packet[m] = w
                m += 1
        rank = reduce_rows(rows, combination, m, k, pivot_row, pivot_column, used)
        write_weights(rows, combination, k, rank, pivot_row, pivot_column, packet, wanted[r], found[r], weights[r])
        # Frobenius norms of what was inverted and of the weights; and how far weights times coefficients are off the unit rows.
        size = 0.0
        for t in range(rank):
            for j in range(k):
                size += coefficients[r, packet[pivot_row[t]], j] ** 2
        gain = 0.0
        worst = 0.0
        for i in range(k):
            if wanted[r, i] != 0:
                for t in range(rank):
                    gain += weights[r, i, packet[pivot_row[t]]] ** 2
                for j in range(k):
                    total = 0.0
                    for t in range(rank):
                        w = packet[pivot_row[t]]
                        total += weights[r, i, w] * coefficients[r, w, j]
                    if i == j:
                        total -= 1.0
                    worst = max(worst, abs(total))
        condition[r] = np.sqrt(size * gain)
        residual[r] = worst


_entry = entry(_nest)


def decoding_weights(coefficients: Floats, arrived: Bytes, wanted: Bytes, threads: int) -> tuple[Floats, Bytes, Floats, Floats]:
    """Return weights that turn received payloads into the wanted sub-products.

    Parameters
    ----------
    coefficients : (R, W, K) float64
    arrived : (R, W) uint8
    wanted : (R, K) uint8
        Sub-products to decode; each must be decodable from what arrived.
    threads : int

    Returns
    -------
    weights : (R, K, W) float64
        Zero for what is not wanted or has not arrived.
    found : (R, K) uint8
        What floating-point elimination itself finds decodable.
    condition : (R,) float64
        Frobenius norm of the packets used times that of the weights; for a full decode the Frobenius condition number.
    residual : (R,) float64
        Largest entry of weights·coefficients less the unit rows.
    """
    count, n, k = coefficients.shape
    weights = np.zeros((count, k, n))
    found = np.zeros((count, k), dtype=np.uint8)
    condition, residual = np.empty(count), np.empty(count)

    def part(bounds: tuple[int, int]) -> None:
        cut = slice(*bounds)
        _entry(coefficients[cut], arrived[cut], wanted[cut], weights[cut], found[cut], condition[cut], residual[cut])

    edges = np.linspace(0, count, 4 * threads + 1).astype(int) if count > 64 else np.array([0, count])
    bounds = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    if threads == 1 or len(bounds) == 1:
        for b in bounds:
            part(b)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, bounds))
    return weights, found, condition, residual

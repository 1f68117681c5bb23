"""Decoding by elimination: the reduced row echelon form of the received coefficients, one packet at a time.

Row k of `rows` has its pivot in column k if pivot[k] is 1. X_k is decoded iff that row is the unit row e_k. A sum is decoded iff
nothing is left of its row of ones when it is reduced by these rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.body import body
from uepgpu_kernels.bodies.field import inverse, less_product, product

__all__ = ["eliminate_decoded", "eliminate_nothing", "eliminate_reduce", "eliminate_take"]

ZERO = np.uint64(0)


@body
def eliminate_reduce(vector: Any, rows: Any, pivot: Any, k: Any, field: Any) -> None:
    """Subtract multiples of the rows until a vector of k elements is zero in their pivot columns."""
    for i in range(k):
        if pivot[i] == 1 and vector[i] != ZERO:
            f = vector[i]
            for j in range(k):
                vector[j] = less_product(vector[j], f, rows[i, j], field)


@body
def eliminate_take(packet: Any, rows: Any, pivot: Any, k: Any, field: Any) -> Any:
    """Take a packet's k coefficients (overwritten) into the echelon form; return whether the rank rose."""
    eliminate_reduce(packet, rows, pivot, k, field)
    column = -1
    for j in range(k):
        if column < 0 and packet[j] != ZERO:
            column = j
    if column >= 0:
        scale = inverse(packet[column], field)
        for j in range(k):
            rows[column, j] = product(packet[j], scale, field)
        for i in range(k):
            if pivot[i] == 1 and rows[i, column] != ZERO:
                f = rows[i, column]
                for j in range(k):
                    rows[i, j] = less_product(rows[i, j], f, rows[column, j], field)
        pivot[column] = 1
    return column >= 0


@body
def eliminate_decoded(rows: Any, pivot: Any, row: Any, k: Any) -> Any:
    """Return whether X_row is decoded."""
    unit = pivot[row] == 1
    for j in range(k):
        if j != row and rows[row, j] != 0:
            unit = False
    return unit


@body
def eliminate_nothing(vector: Any, k: Any) -> Any:
    """Return whether a vector of k elements is zero."""
    nothing = True
    for j in range(k):
        if vector[j] != ZERO:
            nothing = False
    return nothing

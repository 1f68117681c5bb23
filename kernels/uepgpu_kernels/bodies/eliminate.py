"""Decoding by elimination: the reduced row echelon form of the received coefficients, one packet at a time.

Row k of `rows` has its pivot in column k if pivot[k] is 1. X_k is decoded iff that row is the unit row e_k.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.body import body
from uepgpu_kernels.bodies.field import inverse, less_product, product

__all__ = ["eliminate_decoded", "eliminate_take"]

ZERO = np.uint64(0)


@body
def eliminate_take(packet: Any, rows: Any, pivot: Any, k: Any, field: Any) -> Any:
    """Take a packet's k coefficients (overwritten) into the echelon form; return whether the rank rose."""
    for i in range(k):
        if pivot[i] == 1 and packet[i] != ZERO:
            f = packet[i]
            for j in range(k):
                packet[j] = less_product(packet[j], f, rows[i, j], field)
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

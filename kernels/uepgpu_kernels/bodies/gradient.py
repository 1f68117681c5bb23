"""Gradients of blocks of rows, and how far an iterate is from the minimiser."""

from __future__ import annotations

import math
from typing import Any

from uepgpu_kernels.bodies.body import body

__all__ = ["add_gram", "add_least_squares", "add_logistic", "logistic_loss", "multiply_symmetric"]


@body
def multiply_symmetric(matrix: Any, x: Any, out: Any) -> None:
    """Write matrix·x into out; the inner loop runs along rows, so that it vectorises without reordering sums."""
    d = x.shape[0]
    for i in range(d):
        out[i] = 0.0
    for j in range(d):
        f = x[j]
        for i in range(d):
            out[i] += f * matrix[j, i]


@body
def add_gram(gram: Any, moment: Any, x: Any, weight: Any, out: Any) -> None:
    """Add weight·(gram·x - moment) to out."""
    d = x.shape[0]
    for i in range(d):
        out[i] -= weight * moment[i]
    for j in range(d):
        f = weight * x[j]
        for i in range(d):
            out[i] += f * gram[j, i]


@body
def add_least_squares(rows: Any, target: Any, first: Any, stop: Any, x: Any, weight: Any, out: Any) -> None:
    """Add weight·Σ a (a·x - b) over rows first .. stop - 1 to out."""
    d = x.shape[0]
    for i in range(first, stop):
        z = -target[i]
        for j in range(d):
            z += rows[i, j] * x[j]
        z *= weight
        for j in range(d):
            out[j] += z * rows[i, j]


@body
def add_logistic(rows: Any, target: Any, first: Any, stop: Any, x: Any, weight: Any, out: Any) -> None:
    """Add weight·Σ -y a / (1 + exp(y a·x)) over rows first .. stop - 1 to out; labels y are -1 and 1."""
    d = x.shape[0]
    for i in range(first, stop):
        z = 0.0
        for j in range(d):
            z += rows[i, j] * x[j]
        # exp of what is not positive never overflows.
        z *= target[i]
        e = math.exp(-abs(z))
        p = e / (1.0 + e) if z > 0.0 else 1.0 / (1.0 + e)
        f = -weight * target[i] * p
        for j in range(d):
            out[j] += f * rows[i, j]


@body
def logistic_loss(rows: Any, target: Any, x: Any) -> Any:
    """Return Σ log(1 + exp(-y a·x))."""
    n, d = rows.shape
    total = 0.0
    for i in range(n):
        z = 0.0
        for j in range(d):
            z += rows[i, j] * x[j]
        z *= target[i]
        total += math.log1p(math.exp(-abs(z))) + max(-z, 0.0)
    return total

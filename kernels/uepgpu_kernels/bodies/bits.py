"""Bit masks of sub-products: bit k stands for X_k."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.body import body

__all__ = ["bit", "is_power_of_two", "lowest"]

ZERO = np.uint64(0)
ONE = np.uint64(1)
# Masks and steps of the binary search for the lowest set bit.
M32, M16, M8, M4, M2 = (np.uint64((1 << n) - 1) for n in (32, 16, 8, 4, 2))
S32, S16, S8, S4, S2 = (np.uint64(n) for n in (32, 16, 8, 4, 2))


@body
def bit(k: Any) -> Any:
    """Return the mask of sub-product k, an int below 64."""
    return ONE << np.uint64(k)


@body
def is_power_of_two(x: Any) -> Any:
    """Return whether exactly one bit of x is set."""
    return x != ZERO and (x & (x - ONE)) == ZERO


@body
def lowest(x: Any) -> Any:
    """Return the index of the lowest set bit of x, x != 0, as an int."""
    k = 0
    if x & M32 == ZERO:
        k += 32
        x = x >> S32
    if x & M16 == ZERO:
        k += 16
        x = x >> S16
    if x & M8 == ZERO:
        k += 8
        x = x >> S8
    if x & M4 == ZERO:
        k += 4
        x = x >> S4
    if x & M2 == ZERO:
        k += 2
        x = x >> S2
    if x & ONE == ZERO:
        k += 1
    return k

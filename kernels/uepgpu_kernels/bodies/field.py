"""Finite fields: 0 the integers modulo the prime 2^31-1, 1 GF(2), 2 GF(256) with x^8+x^4+x^3+x+1."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.body import body

__all__ = ["inverse", "less_product"]

ZERO = np.uint64(0)
ONE = np.uint64(1)
PRIME = np.uint64(0x7FFFFFFF)
SHIFT = np.uint64(31)
TOP = np.uint64(0x80)
POLYNOMIAL = np.uint64(0x11B)


@body
def fold(x: Any) -> Any:
    """Return x modulo 2^31-1, x < 2^63."""
    x = (x & PRIME) + (x >> SHIFT)
    x = (x & PRIME) + (x >> SHIFT)
    return x - PRIME if x >= PRIME else x


@body
def product(a: Any, b: Any, field: Any) -> Any:
    """Return a·b."""
    if field == 0:
        result = fold(a * b)
    elif field == 1:
        result = a & b
    else:
        result = ZERO
        for _ in range(8):
            if b & ONE != ZERO:
                result ^= a
            carry = a & TOP
            a = a << ONE
            if carry != ZERO:
                a ^= POLYNOMIAL
            b = b >> ONE
    return result


@body
def less_product(a: Any, f: Any, b: Any, field: Any) -> Any:
    """Return a - f·b."""
    if field == 0:
        result = fold(a + (PRIME - f) * b)
    else:
        result = a ^ product(f, b, field)
    return result


@body
def inverse(a: Any, field: Any) -> Any:
    """Return 1/a for a != 0, by Fermat: a^(p-2), or a^254 in GF(256)."""
    result = ONE
    if field != 1:
        exponent = PRIME - np.uint64(2) if field == 0 else np.uint64(254)
        while exponent != ZERO:
            if exponent & ONE != ZERO:
                result = product(result, a, field)
            a = product(a, a, field)
            exponent = exponent >> ONE
    return result

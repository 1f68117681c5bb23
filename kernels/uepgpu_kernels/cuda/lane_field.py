"""Arithmetic of the finite fields for elimination with columns over lanes: elements of 32 bits that are reduced late.

Modulo P = 2^31-1 an element x of a row is any of 1, …, 2P-1, and 0 is P alone. So x + f·v with f, v <= P folds back by one
addition, x = 2^31·h + l ≡ h + l, and a sum that vanishes is P: nothing has to be compared or subtracted. In the other fields
elements are what they are. A factor of GF(256) is its logarithm: the products of a row by one factor are look-ups in a table,
which is 0 beyond the greatest sum of two logarithms of elements that are not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.cuda.product import wide_product, wide_sum
from uepgpu_kernels.cuda.stage import stage

__all__ = ["LaneField", "field_tables", "lane_field"]

ZERO32, ONE32 = np.uint32(0), np.uint32(1)
PRIME, TWICE_LESS_1 = np.uint32(0x7FFFFFFF), np.uint32(0xFFFFFFFD)
PRIME64 = np.uint64(0x7FFFFFFF)
SHIFT = np.uint64(31)
HALF, LOW16 = np.uint32(16), np.uint32(0xFFFF)
HALF64 = np.uint64(16)
NO_LOGARITHM = 512
EXPONENTS = 2 * NO_LOGARITHM + 1
"""Entries of the table of powers, those of elements that are not 0 first."""


class LaneField(NamedTuple):
    """One field. `log` and `power` are the tables of :func:`field_tables`, which only GF(256) reads."""

    zero: Any  # the element 0
    given: Any  # (x) -> element of a residue
    split: Any  # (log, x) -> (a, b): what `add` takes of -x
    begin: Any  # () -> (c, d): an empty sum
    add: Any  # (log, power, c, d, a, b, x) -> (c, d): the sum, less the product of an element
    end: Any  # (c, d, x) -> x plus the sum
    minus: Any  # (log, x) -> the factor -x
    inverse: Any  # (log, power, x) -> factor 1/x
    times: Any  # (power, f, x, log) -> element f·x, to multiply rows with by `plus`
    multiple: Any  # (log, x) -> what `plus` takes of an element
    plus: Any  # (power, x, f, v) -> x + f·v


def field_tables() -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Return the logarithms (256,) of GF(256) and the powers (1025,) of the generator x + 1, 0 from 510 on."""
    log = np.full(256, NO_LOGARITHM, dtype=np.uint16)
    power = np.zeros(EXPONENTS, dtype=np.uint8)
    x = 1
    for i in range(255):
        log[x] = i
        power[i] = power[i + 255] = x
        x ^= x << 1
        x ^= 0x11B if x & 0x100 else 0
    return log, power


@stage
def folded(x: Any) -> Any:
    """Return x modulo P in 1, …, 2P-1 for 0 < x <= 2^31·P; a multiple of P gives P."""
    return np.uint32(np.uint32(np.uint32(x) & PRIME) + np.uint32(x >> SHIFT))


@stage
def canonical(x: Any) -> Any:
    """Return x modulo P in 1, …, P for 0 < x <= 2P."""
    less = np.uint32(x - ONE32)
    return np.uint32(min(less, np.uint32(less - PRIME)) + ONE32)


@stage
def minus_prime(log: Any, x: Any) -> Any:
    """Return -x modulo P in 0, …, P-1."""
    rest = np.uint32(PRIME - x)
    return min(rest, np.uint32(rest + PRIME))


@stage
def product_prime(a: Any, b: Any) -> Any:
    """Return a·b modulo P in 1, …, P, of two such."""
    # Written out, since it is inlined often: each call of a step costs time to compile.
    x = wide_product(a, b)
    less = np.uint32(np.uint32(np.uint32(np.uint32(x) & PRIME) + np.uint32(x >> SHIFT)) - ONE32)
    return np.uint32(min(less, np.uint32(less - PRIME)) + ONE32)


@stage
def inverse_prime(log: Any, power: Any, x: Any) -> Any:
    """Return x^(P-2), P - 2 = 4·(2^29 - 1) + 1: two ones, nine times three more, and 01."""
    y = product_prime(product_prime(x, x), x)
    seven = product_prime(product_prime(y, y), x)
    for _ in range(9):
        for _ in range(3):
            y = product_prime(y, y)
        y = product_prime(y, seven)
    for _ in range(2):
        y = product_prime(y, y)
    return product_prime(y, x)


def _prime() -> LaneField:
    @stage
    def given(x: Any) -> Any:
        return PRIME if x == ZERO32 else x

    @stage
    def split(log: Any, x: Any) -> Any:
        factor = minus_prime(log, x)
        return np.uint32(factor & LOW16), np.uint32(factor >> HALF)

    @stage
    def begin() -> Any:
        return np.uint64(0), np.uint64(0)

    @stage
    def add(log: Any, power: Any, c: Any, d: Any, a: Any, b: Any, x: Any) -> Any:
        # Factors of 16 bits: 2^16 products fit, and nothing is folded between.
        return wide_sum(a, x, c), wide_sum(b, x, d)

    @stage
    def end(c: Any, d: Any, x: Any) -> Any:
        upper = (d & PRIME64) + (d >> SHIFT)
        total = c + (upper << HALF64) + np.uint64(x)
        return canonical(folded((total & PRIME64) + (total >> SHIFT)))

    @stage
    def times(log: Any, power: Any, f: Any, x: Any) -> Any:
        return product_prime(f, x)

    @stage
    def multiple(log: Any, x: Any) -> Any:
        return x

    @stage
    def plus(power: Any, x: Any, f: Any, v: Any) -> Any:
        return folded(wide_sum(f, v, np.uint64(x)))

    return LaneField(PRIME, given, split, begin, add, end, minus_prime, inverse_prime, times, multiple, plus)


def _two() -> LaneField:
    @stage
    def same(x: Any) -> Any:
        return x

    @stage
    def split(log: Any, x: Any) -> Any:
        return x, ZERO32

    @stage
    def begin() -> Any:
        return ZERO32, ZERO32

    @stage
    def add(log: Any, power: Any, c: Any, d: Any, a: Any, b: Any, x: Any) -> Any:
        return np.uint32(c ^ np.uint32(a & x)), d

    @stage
    def end(c: Any, d: Any, x: Any) -> Any:
        return np.uint32(c ^ x)

    @stage
    def second(log: Any, x: Any) -> Any:
        return x

    @stage
    def inverse(log: Any, power: Any, x: Any) -> Any:
        return ONE32

    @stage
    def times(log: Any, power: Any, f: Any, x: Any) -> Any:
        return x

    @stage
    def plus(power: Any, x: Any, f: Any, v: Any) -> Any:
        return np.uint32(x ^ np.uint32(f & v))

    return LaneField(ZERO32, same, split, begin, add, end, second, inverse, times, second, plus)


def _bytes() -> LaneField:
    two = _two()

    @stage
    def logarithm(log: Any, x: Any) -> Any:
        return np.uint32(log[x])

    @stage
    def split(log: Any, x: Any) -> Any:
        return np.uint32(log[x]), ZERO32

    @stage
    def add(log: Any, power: Any, c: Any, d: Any, a: Any, b: Any, x: Any) -> Any:
        return np.uint32(c ^ np.uint32(power[np.uint32(a + np.uint32(log[x]))])), d

    @stage
    def inverse(log: Any, power: Any, x: Any) -> Any:
        return np.uint32(np.uint32(255) - np.uint32(log[x]))

    @stage
    def times(log: Any, power: Any, f: Any, x: Any) -> Any:
        return np.uint32(power[np.uint32(f + np.uint32(log[x]))])

    @stage
    def plus(power: Any, x: Any, f: Any, v: Any) -> Any:
        return np.uint32(x ^ np.uint32(power[np.uint32(f + v)]))

    return LaneField(ZERO32, two.given, split, two.begin, add, two.end, logarithm, inverse, times, logarithm, plus)


def lane_field(number: int) -> LaneField:
    """Return a field by its number in a job."""
    return (_prime, _two, _bytes)[number]()

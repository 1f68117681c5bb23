"""Arithmetic of single numbers in the fields that coefficients are drawn from."""

from __future__ import annotations

from typing import Protocol

__all__ = ["FIELDS", "Field"]

PRIME = 2**31 - 1
POLYNOMIAL = 0x11B
"""x^8 + x^4 + x^3 + x + 1."""


class Field(Protocol):
    """What elimination needs of a field of integers."""

    name: str

    def less(self, a: int, b: int) -> int:
        """Return a - b."""
        ...

    def times(self, a: int, b: int) -> int:
        """Return a·b."""
        ...

    def inverse(self, a: int) -> int:
        """Return 1/a, a != 0."""
        ...


class _Integers:
    """The integers modulo a prime."""

    def __init__(self, name: str, prime: int) -> None:
        self.name = name
        self.prime = prime

    def less(self, a: int, b: int) -> int:
        return (a - b) % self.prime

    def times(self, a: int, b: int) -> int:
        return a * b % self.prime

    def inverse(self, a: int) -> int:
        return pow(a, -1, self.prime)


class _Bytes:
    """GF(256): polynomials over GF(2) modulo :data:`POLYNOMIAL`, multiplied by logarithms to the base x + 1."""

    name = "GF(256)"

    def __init__(self) -> None:
        self.power = [1]
        for _ in range(254):
            doubled = self.power[-1] << 1
            self.power.append(self.power[-1] ^ (doubled ^ POLYNOMIAL if doubled > 255 else doubled))
        self.logarithm = {value: exponent for exponent, value in enumerate(self.power)}

    def less(self, a: int, b: int) -> int:
        return a ^ b

    def times(self, a: int, b: int) -> int:
        if a == 0 or b == 0:
            return 0
        return self.power[(self.logarithm[a] + self.logarithm[b]) % 255]

    def inverse(self, a: int) -> int:
        return self.power[-self.logarithm[a] % 255]


FIELDS: tuple[Field, ...] = (_Integers("the integers modulo 2^31 - 1", PRIME), _Integers("GF(2)", 2), _Bytes())
"""By their number in a job."""

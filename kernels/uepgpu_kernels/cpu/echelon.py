"""Elimination over GF(2) and GF(256), 512 realizations at once: the reduced row echelon form of what each has received.

In lanes where `pivot[i]` is set there is a row with its pivot, a 1, in column i. `rows` holds what lies right of the pivots,
K - 1 - i elements of row i, one row after the other. Columns of pivots are zero elsewhere, so that X_i is decoded iff all that
is held of row i is zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.cpu.plain_vectors import WORDS
from uepgpu_kernels.cpu.vectors import Steps, steps_of

__all__ = ["Echelon", "echelon", "echelon_of", "row_start"]

ZERO = np.uint64(0)


class Echelon(NamedTuple):
    """Elimination over one field."""

    planes: int
    take: Any  # (rows, pivot, packet, chosen, used, open_, scratch, k) -> whether any lane's rank rose


@stage
def row_start(i: Any, k: Any) -> Any:
    """Return the place of the first element that is held of row i."""
    return i * (2 * k - i - 1) // 2


def echelon(planes: int) -> Echelon:
    """Return elimination over GF(2) (1 plane) or GF(256) (8 planes)."""
    return echelon_of(planes, steps_of(planes))


def echelon_of(planes: int, steps: Steps) -> Echelon:
    """Return elimination by given steps."""
    add_multiple, scale, select, invert, split, first_of, enter, undecoded = steps
    size = planes * WORDS

    @stage
    def take(rows: Any, pivot: Any, packet: Any, chosen: Any, used: Any, open_: Any, scratch: Any, k: Any) -> Any:
        """Take a packet (K elements, overwritten) into the form; `open_` (K vectors) says which lanes `used` have not decoded what.

        `chosen` (K vectors) and `scratch` (an element and a vector) are scratch.
        """
        for c in range(k):
            if split(packet, c * size, pivot, c * WORDS, scratch, 0):
                add_multiple(packet, (c + 1) * size, scratch, 0, rows, row_start(c, k) * size, k - c - 1)
        # The first column that is left is the pivot.
        for v in range(WORDS):
            scratch[size + v] = ZERO
        first = k
        for c in range(k):
            if first_of(chosen, c * WORDS, packet, c * size, scratch, size) and first == k:
                first = c
        if first == k:
            return False
        if planes > 1:
            select(scratch, 0, chosen, first * WORDS, packet, first * size, k - first)
            invert(scratch, 0)
            scale(packet, first * size, scratch, 0, k - first)
        # Clear the new pivot's column above it, and write its own row: a multiple by 1 in the lanes that chose it.
        for i in range(k):
            begin = max(i + 1, first)
            row = row_start(i, k)
            at = (row + begin - i - 1) * size
            select(scratch, 0, chosen, begin * WORDS, rows, at, k - begin)
            if enter(scratch, 0, chosen, i * WORDS, pivot, i * WORDS):
                add_multiple(rows, at, scratch, 0, packet, begin * size, k - begin)
                undecoded(open_, i * WORDS, rows, row * size, pivot, i * WORDS, used, 0, k - i - 1)
        return True

    return Echelon(planes, take)

"""The table by which one word draws the windows of several packets (docs/mathematics.md §10): exact integers, made on the host.

With S cells, m packets have S^m combinations; combination c_0 + c_1·S + c_2·S² + … means cell c_i for packet i of a word. The
table has a column for each, 128 with those that are never drawn. The upper 7 bits of a word choose a column; the lower 25
choose between its own combination and another one, its alias (Walker's method).
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CELL_BITS",
    "COLUMNS",
    "COLUMN_BITS",
    "alias_table",
    "cells_of_columns",
    "joint_draws",
    "joint_words",
    "packets_per_word",
    "words_of_columns",
]

COLUMN_BITS = 7
COLUMNS = 1 << COLUMN_BITS
WORD = 32
COLUMN = 1 << (WORD - COLUMN_BITS)
"""Words of one column."""
CELL_BITS = 4
"""Bits of a cell in :func:`cells_of_columns`: where a word decides several packets, there are at most 11 cells."""


def joint_draws(threshold: NDArray[np.uint32]) -> tuple[int, NDArray[np.uint32]]:
    """Return how many packets a word decides and their table (128,), from the thresholds (C,) of one; 1 and (0,) for one each."""
    m = packets_per_word(threshold.size + 1)
    if m == 1:
        return 1, np.zeros(0, dtype=np.uint32)
    edges = [0, *threshold.tolist(), 1 << WORD]
    words = tuple(int(end) - int(start) for start, end in itertools.pairwise(edges))
    return m, alias_table(joint_words(words, m))


def cells_of_columns(n_cells: int, m: int) -> NDArray[np.uint32]:
    """Return the cells of each of 128 combinations, 4 bits each, that of the first packet lowest; 0 beyond the last one.

    Examples
    --------
    >>> hex(cells_of_columns(3, 4)[5])
    '0x12'
    """
    number = np.arange(COLUMNS)
    digits = [(number // n_cells**i) % n_cells << CELL_BITS * i for i in range(m)]
    cells: NDArray[np.uint32] = np.where(number < n_cells**m, sum(digits), 0).astype(np.uint32)
    return cells


def packets_per_word(n_cells: int) -> int:
    """Return how many packets of `n_cells` cells a word decides: as many as 128 combinations allow, one at least.

    Examples
    --------
    >>> [packets_per_word(s) for s in (1, 2, 3, 4, 5, 11, 12, 1000)]
    [1, 7, 4, 3, 3, 2, 1, 1]
    """
    m = 1
    while 1 < n_cells ** (m + 1) <= COLUMNS:
        m += 1
    return m


@functools.lru_cache(maxsize=256)
def joint_words(words: tuple[int, ...], m: int) -> tuple[int, ...]:
    """Return how many of the 2^32 words each combination of m packets has, (S^m,), given how many each cell has (S,).

    A combination gets its share by the product, rounded down. The words left over go one by one to combinations whose cells
    all have too few so far, each at its place: to one that was given the fewest of them, of these to one with the greatest
    product of what its cells lack, of these to the first. So each packet's cells have `words` exactly.

    Examples
    --------
    >>> joint_words((2**31 + 1, 2**31 - 1), 2)
    (1073741826, 1073741823, 1073741823, 1073741824)
    """
    # Packet 0 has the lowest digit of a combination's number.
    combinations = [c[::-1] for c in itertools.product(range(len(words)), repeat=m)]
    found = [math.prod(words[s] for s in c) >> WORD * (m - 1) for c in combinations]
    lacking = [list(words) for _ in range(m)]
    for c, n in zip(combinations, found, strict=True):
        for place, s in enumerate(c):
            lacking[place][s] -= n
    given = [0] * len(found)
    for _ in range((1 << WORD) - sum(found)):
        need = [math.prod(lacking[place][s] for place, s in enumerate(c)) for c in combinations]
        best = max((i for i, n in enumerate(need) if n > 0), key=lambda i: (-given[i], need[i]))
        given[best] += 1
        for place, s in enumerate(combinations[best]):
            lacking[place][s] -= 1
    return tuple(n + more for n, more in zip(found, given, strict=True))


def alias_table(words: Sequence[int]) -> NDArray[np.uint32]:
    """Return the table (128,) that gives combination c exactly ``words[c]`` of the 2^32 words.

    An entry has how many words of the column are its own in the upper 25 bits, and its alias in the lower 7. The first
    column with too few words is filled up from the first one with too many, until none has too few.

    Examples
    --------
    >>> table = alias_table([2**31 + 1, 2**31 - 1])
    >>> words_of_columns(table)[:3].tolist()
    [2147483649, 2147483647, 0]
    """
    left = [*words, *[0] * (COLUMNS - len(words))]
    entry = np.arange(COLUMNS, dtype=np.uint32)  # a column that is full is its own alias
    few = [c for c in range(COLUMNS) if left[c] < COLUMN]  # ascending, and so a heap
    donor = 0
    while few:
        short = heapq.heappop(few)
        while left[donor] <= COLUMN:  # no column gets more than it had
            donor += 1
        entry[short] = (left[short] << COLUMN_BITS) | donor
        left[donor] -= COLUMN - left[short]
        if left[donor] < COLUMN:
            heapq.heappush(few, donor)
    return entry


def words_of_columns(table: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return how many of the 2^32 words each of the 128 combinations has, by enumerating the table's columns."""
    own = (table >> np.uint32(COLUMN_BITS)).astype(np.int64)
    found = own.copy()
    np.add.at(found, (table & np.uint32(COLUMNS - 1)).astype(np.int64), COLUMN - own)
    return found

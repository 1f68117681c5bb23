"""Which servers answer in an iteration of distributed gradient descent, and which blocks are drawn.

A server's word of an iteration is its latency: the least word is the fastest server (:mod:`uepgpu_kernels.streams`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.body import body

__all__ = ["block_of_word", "greatest_word", "mark_fastest", "smallest_word"]

ZERO = np.uint64(0)
ONE = np.uint64(1)


@body
def smallest_word(words: Any, n: Any, q: Any) -> Any:
    """Return the q-th smallest of the first n 32-bit words, q counted from 1: bit by bit, without branches or scratch."""
    found = ZERO
    for b in range(32):
        trial = found | (ONE << np.uint64(31 - b))
        less = 0
        for i in range(n):
            less += words[i] < trial
        if less < q:
            found = trial
    return found


@body
def mark_fastest(words: Any, n: Any, q: Any, answered: Any) -> Any:
    """Write 1 for the q servers of n with the least words (ties: the lower number), else 0; return the greatest of those words."""
    last = smallest_word(words, n, q)
    tied = q
    for i in range(n):
        tied -= words[i] < last
    for i in range(n):
        answered[i] = words[i] < last
        if words[i] == last and tied > 0:
            answered[i] = 1
            tied -= 1
    return last


@body
def greatest_word(words: Any, n: Any, answered: Any) -> Any:
    """Return the greatest word among servers that are marked."""
    last = ZERO
    for i in range(n):
        if answered[i] != 0:
            last = max(last, words[i])
    return last


@body
def block_of_word(word: Any, threshold: Any, n: Any) -> Any:
    """Return how many of n ascending thresholds are <= word, as an int (bisection)."""
    low = 0
    high = n
    while low < high:
        middle = (low + high) // 2
        if threshold[middle] <= word:
            low = middle + 1
        else:
            high = middle
    return low

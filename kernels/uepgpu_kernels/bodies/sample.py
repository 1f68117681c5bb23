"""Draws: cells of a cumulative table, arrival orders, drawn supports, coefficients. The layout is frozen.

Streams of a realization: 0 one word per packet (its window and arrival), 1 order, 2 coefficients, 3 drawn supports.
Word i of a stream is word i mod 4 of block i div 4. Coefficients and drawn supports give packet w the words
w·4·⌈K/4⌉ + k.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.bits import bit
from uepgpu_kernels.bodies.body import body
from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32

__all__ = ["COEFFICIENT_STREAM", "ORDER_STREAM", "SUPPORT_STREAM", "below", "draw_coefficients", "draw_subset", "fill_words"]

ORDER_STREAM = np.uint64(1)
COEFFICIENT_STREAM = np.uint64(2)
SUPPORT_STREAM = np.uint64(3)
PRIME_LESS_1 = np.uint64(0x7FFFFFFE)
ONE = np.uint64(1)
TO_BYTE = np.uint64(24)
TO_BIT = np.uint64(31)


@body
def below(word: Any, n: Any) -> Any:
    """Return a number in 0..n-1 from a 32-bit word; both uint64. Uniform to n 2^-32."""
    return (word * n) >> SHIFT


@body
def fill_words(out: Any, seed: Any, realization: Any, stream: Any, first_block: Any, n_blocks: Any) -> None:
    """Write 4 n_blocks words of a stream into out, from block first_block on."""
    k0 = seed & MASK
    k1 = seed >> SHIFT
    low = realization & MASK
    high = realization >> SHIFT
    for b in range(n_blocks):
        w0, w1, w2, w3 = philox4x32(low, high, np.uint64(first_block + b), stream, k0, k1)
        out[4 * b] = w0
        out[4 * b + 1] = w1
        out[4 * b + 2] = w2
        out[4 * b + 3] = w3


@body
def draw_subset(words: Any, seed: Any, realization: Any, packet: Any, degree: Any, k: Any) -> Any:
    """Draw `degree` of k sub-products uniformly (selection sampling, Knuth vol. 2, algorithm S).

    Each of the first k `words` becomes 1 where X_i is in, else 0; the mask of the first 64 is returned.
    """
    blocks = (k + 3) // 4
    fill_words(words, seed, realization, SUPPORT_STREAM, packet * blocks, blocks)
    mask = np.uint64(0)
    need = np.uint64(degree)
    for i in range(k):
        inside = below(words[i], np.uint64(k - i)) < need
        words[i] = np.uint64(inside)
        if inside:
            need -= ONE
            if i < 64:
                mask |= bit(i)
    return mask


@body
def draw_coefficients(words: Any, seed: Any, realization: Any, packet: Any, k: Any, field: Any) -> None:
    """Write the k coefficients of a packet into words: field 0 nonzero modulo 2^31-1, 1 GF(2), 2 GF(256)."""
    blocks = (k + 3) // 4
    fill_words(words, seed, realization, COEFFICIENT_STREAM, packet * blocks, blocks)
    for i in range(k):
        if field == 0:
            words[i] = ONE + below(words[i], PRIME_LESS_1)
        elif field == 1:
            words[i] = words[i] >> TO_BIT
        else:
            words[i] = words[i] >> TO_BYTE

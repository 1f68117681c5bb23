"""Draws: words of a stream, numbers from words, drawn supports, coefficients. :mod:`uepgpu_kernels.streams` has the layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.bits import bit
from uepgpu_kernels.bodies.body import body
from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32
from uepgpu_kernels.streams import COEFFICIENTS, SUPPORTS

__all__ = ["below", "draw_coefficients", "draw_subset", "fill_words"]

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
    fill_words(words, seed, realization, SUPPORTS, packet * blocks, blocks)
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
    fill_words(words, seed, realization, COEFFICIENTS, packet * blocks, blocks)
    for i in range(k):
        if field == 0:
            words[i] = ONE + below(words[i], PRIME_LESS_1)
        elif field == 1:
            words[i] = words[i] >> TO_BIT
        else:
            words[i] = words[i] >> TO_BYTE

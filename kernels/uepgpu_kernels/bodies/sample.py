"""Draws: words of a stream, numbers from words, drawn supports, coefficients. :mod:`uepgpu_kernels.streams` has the layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.bits import bit
from uepgpu_kernels.bodies.body import body
from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32
from uepgpu_kernels.joint import COLUMN_BITS, COLUMNS
from uepgpu_kernels.streams import COEFFICIENTS, NUMBERED, SUPPORTS

__all__ = ["below", "combination_of", "draw_coefficients", "draw_subset", "fill_words"]

PRIME_LESS_1 = np.uint64(0x7FFFFFFE)
ONE = np.uint64(1)
ZERO = np.uint64(0)
BYTE = np.uint64(0xFF)
COLUMN_SHIFT, ENTRY_SHIFT = np.uint32(32 - COLUMN_BITS), np.uint32(COLUMN_BITS)
IN_COLUMN, ALIAS = np.uint32((1 << (32 - COLUMN_BITS)) - 1), np.uint32(COLUMNS - 1)


@body
def below(word: Any, n: Any) -> Any:
    """Return a number in 0..n-1 from a 32-bit word; both uint64. Uniform to n 2^-32."""
    return (word * n) >> SHIFT


@body
def combination_of(word: Any, alias: Any) -> Any:
    """Return the number of the combination that a word draws from a table of :mod:`uepgpu_kernels.joint`; all np.uint32."""
    column = np.uint32(word >> COLUMN_SHIFT)
    entry = alias[column]
    # The word's place in its column is below what the column has of its own: both shifted up, above any alias.
    own = np.uint32(np.uint32(word << ENTRY_SHIFT) | ALIAS) < entry
    return column if own else np.uint32(entry & ALIAS)


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
    """Draw `degree` of k sub-products uniformly: by the subset's number where there are few subsets, else by Floyd's method.

    Each of the first k `words` becomes 1 where X_i is in, else 0; the mask of the first 64 is returned.
    """
    k0, k1 = seed & MASK, seed >> SHIFT
    low, high = realization & MASK, realization >> SHIFT
    mask = ZERO
    for i in range(k):
        words[i] = ZERO
    if k <= NUMBERED:
        w0, w1, w2, w3 = philox4x32(low, high, np.uint64(packet >> 2), SUPPORTS, k0, k1)
        place = packet & 3
        word = w0 if place == 0 else w1 if place == 1 else w2 if place == 2 else w3
        # C(n, d) subsets of what is left, the first C(n - 1, d - 1) of which hold the next sub-product.
        left = 1
        for i in range(degree):
            left = left * (k - i) // (i + 1)
        number = np.int64(below(word, np.uint64(left)))
        need = np.int64(degree)
        for i in range(k):
            inside = left * need // (k - i)
            if number < inside:
                words[i] = ONE
                mask |= bit(i)
                left = inside
                need -= 1
            else:
                number -= inside
                left -= inside
    else:
        blocks = (k + 3) // 4
        w0, w1, w2, w3 = ZERO, ZERO, ZERO, ZERO
        for i in range(degree):
            place = i & 3
            if place == 0:
                w0, w1, w2, w3 = philox4x32(low, high, np.uint64(packet * blocks + i // 4), SUPPORTS, k0, k1)
            word = w0 if place == 0 else w1 if place == 1 else w2 if place == 2 else w3
            last = k - degree + i
            pick = np.int64(below(word, np.uint64(last + 1)))
            if words[pick] != ZERO:
                pick = np.int64(last)
            words[pick] = ONE
            if pick < 64:
                mask |= bit(pick)
    return mask


@body
def draw_coefficients(words: Any, seed: Any, realization: Any, packet: Any, k: Any, field: Any) -> None:
    """Write the k coefficients of a packet into words: field 0 nonzero modulo 2^31-1, 1 GF(2), 2 GF(256)."""
    k0, k1 = seed & MASK, seed >> SHIFT
    low, high = realization & MASK, realization >> SHIFT
    each = 32 if field == 1 else 4 if field == 2 else 1  # coefficients of a word
    held = -1
    w0, w1, w2, w3 = ZERO, ZERO, ZERO, ZERO
    for i in range(k):
        at = packet * k + i
        block = at // (4 * each)
        if block != held:
            held = block
            w0, w1, w2, w3 = philox4x32(low, high, np.uint64(block), COEFFICIENTS, k0, k1)
        place = (at // each) & 3
        word = w0 if place == 0 else w1 if place == 1 else w2 if place == 2 else w3
        if field == 0:
            words[i] = ONE + below(word, PRIME_LESS_1)
        elif field == 1:
            words[i] = (word >> np.uint64(at & 31)) & ONE
        else:
            words[i] = (word >> np.uint64(8 * (at & 3))) & BYTE

"""Coefficients of a packet, drawn or given, by lanes of a warp that decode one realization together."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.sample import draw_subset
from uepgpu_kernels.cuda.draw import block_of
from uepgpu_kernels.cuda.product import wide_product
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import cuda, stage
from uepgpu_kernels.streams import COEFFICIENTS

__all__ = ["packet_maker"]

SHIFT = np.uint64(32)
ZERO, ONE = np.uint64(0), np.uint64(1)
ZERO32, ONE32 = np.uint32(0), np.uint32(1)
SIX32, LOW6 = np.uint32(6), np.uint32(63)
PRIME_LESS_1 = np.uint32(0x7FFFFFFE)
EACH = (1, 32, 4)
"""Coefficients of a word, by field."""


def packet_maker(shape: Shape) -> Any:
    """Return the step ``(t, seed, realization, number, window, vector, columns, me)`` that writes a packet's coefficients."""
    k, field, lanes, drawn, given = shape.k, shape.field, shape.lanes, shape.drawn, shape.given
    each = EACH[field]
    in_block = 4 * each
    n_blocks = k // in_block if k % in_block == 0 else (k - 1) // in_block + 2
    words = np.uint32((k + 63) // 64)
    n_marks = k + 3 if drawn else 1
    coefficient = np.uint32(255 if field == 2 else 1)
    bits = np.uint32(8 if field == 2 else 1)

    @stage
    def put(t: Any, marks: Any, window: Any, vector: Any, columns: Any, first: Any, word: Any) -> None:
        j, rest = np.uint32(first), np.uint32(word)
        for _ in range(each):
            if j < np.uint32(k):  # before the packet's first it is beyond 2^31
                if drawn:
                    inside = marks[j] != ZERO32
                else:
                    mask = t.mask[np.uint32(np.uint32(window * words) + np.uint32(j >> SIX32))]
                    inside = (mask >> np.uint64(j & LOW6)) & ONE != ZERO
                x = np.uint32(rest & coefficient)
                if field == 0:
                    x = np.uint32(np.uint32(wide_product(rest, PRIME_LESS_1) >> SHIFT) + ONE32)
                vector[np.uint32(columns + j)] = x if inside else ZERO32
            j = np.uint32(j + ONE32)
            rest = np.uint32(rest >> bits)

    @stage
    def enter(t: Any, seed: Any, realization: Any, number: Any, window: Any, vector: Any, columns: Any, me: Any) -> None:
        if given:
            j = me
            while j < k:
                x = t.generator[np.uint64(number) * np.uint64(k) + np.uint64(j)]
                vector[np.uint32(columns + j)] = np.uint32(x)
                j = np.uint32(j + np.uint32(lanes))
        else:
            marks = cuda.local.array(n_marks, np.uint8)
            if drawn:
                draw_subset(marks, seed, realization, int(number), t.degree[window], k)
            first = np.uint32(number * np.uint32(k))
            block = np.uint32(np.uint32(first // np.uint32(in_block)) + me)
            end = np.uint32(np.uint32(block - me) + np.uint32(n_blocks))
            while block < end:
                w0, w1, w2, w3 = block_of(seed, realization, block, COEFFICIENTS)
                j = np.uint32(np.uint32(block * np.uint32(in_block)) - first)
                put(t, marks, window, vector, columns, j, w0)
                put(t, marks, window, vector, columns, np.uint32(j + np.uint32(each)), w1)
                put(t, marks, window, vector, columns, np.uint32(j + np.uint32(2 * each)), w2)
                put(t, marks, window, vector, columns, np.uint32(j + np.uint32(3 * each)), w3)
                block = np.uint32(block + np.uint32(lanes))

    return enter

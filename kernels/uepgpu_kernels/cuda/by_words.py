"""The kernel of the count domain that takes all packets of a word at once: one load from a table in shared memory.

The table (:mod:`uepgpu_kernels.steps`) has, by state and combination, the next state and after how many of the word's packets
each class is undecoded, in fields that a block of four words cannot overflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.sample import combination_of
from uepgpu_kernels.cuda.draw import block_of
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.span import clear, fill, flush, sub_batch_start, thread_start, thread_step
from uepgpu_kernels.cuda.stage import cuda, kernel, stage
from uepgpu_kernels.cuda.tally import packed_tally
from uepgpu_kernels.joint import COLUMNS
from uepgpu_kernels.steps import FIELDS
from uepgpu_kernels.streams import PACKETS

__all__ = ["by_words_kernel"]

ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
UPPER = np.uint32(FIELDS)


def by_words_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``."""
    bins, size, n_classes = max(shape.bins, 1), shape.states, shape.n_classes
    width = FIELDS // n_classes
    field = np.uint32((1 << width) - 1)
    ones = np.uint32(0x01010101 >> (8 * (4 - n_classes)))
    tally = packed_tally(shape)

    @stage
    def spread(sums: Any) -> Any:
        """Return the fields of an entry, 8 bits apart."""
        found = ZERO32
        for c in range(n_classes):
            found = np.uint32(found + np.uint32(np.uint32(np.uint32(sums >> np.uint32(width * c)) & field) << np.uint32(8 * c)))
        return found

    @kernel
    def by_words(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        hist = cuda.shared.array(bins, np.uint32)
        steps = cuda.shared.array(size, np.uint32)
        alias = cuda.shared.array(COLUMNS, np.uint32)
        fill(steps, t.steps)
        fill(alias, t.alias)
        clear(hist, n_bins)
        i = thread_start(sub_batch_start(first))
        stride = thread_step()
        blocks = np.uint32(t.n_blocks)  # the last one whole: see `packed_tally`
        while i < count:
            row = ZERO32
            times = ones
            b = ZERO32
            while b < blocks:
                w0, w1, w2, w3 = block_of(seed, first + i, b, PACKETS)
                e0 = steps[np.uint32(row + combination_of(w0, alias))]
                e1 = steps[np.uint32(np.uint32(e0 >> UPPER) + combination_of(w1, alias))]
                e2 = steps[np.uint32(np.uint32(e1 >> UPPER) + combination_of(w2, alias))]
                e3 = steps[np.uint32(np.uint32(e2 >> UPPER) + combination_of(w3, alias))]
                row = np.uint32(e3 >> UPPER)
                b = np.uint32(b + ONE32)
                # Carries leave the lower half upwards, where nothing is read.
                times = np.uint32(times + spread(np.uint32(np.uint32(e0 + e1) + np.uint32(e2 + e3))))
            tally(hist, ZERO32, ONE32, times, n_times)
            i += stride
        flush(hist, n_bins, out)

    return by_words

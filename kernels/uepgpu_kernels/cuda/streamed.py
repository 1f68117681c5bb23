"""The kernel of the count domain where packets arrive in the order drawn: each is decoded as it is drawn, none is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.draw import block_of, look_up
from uepgpu_kernels.cuda.packed import ONES, packed_class_times, packed_move, packed_step, word_type
from uepgpu_kernels.cuda.shape import BUCKET_BITS, Shape
from uepgpu_kernels.cuda.span import clear, fill, flush, sub_batch_start, thread_start, thread_step
from uepgpu_kernels.cuda.stage import cuda, kernel, stage
from uepgpu_kernels.cuda.tally import packed_tally
from uepgpu_kernels.streams import PACKETS

__all__ = ["streamed_kernel"]

ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)


def streamed_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``."""
    n, bins, cells, states = shape.n_packets, max(shape.bins, 1), shape.cells, shape.states
    full_blocks, left = n // 4, n % 4
    n_buckets = 0 if cells else 1 << BUCKET_BITS
    table_size, bucket_size, n_cells = max(states, 1), max(n_buckets, 1), max(cells, 1)
    word = word_type(shape)
    start_times = word(ONES & (2**32 - 1 if word is np.uint32 else 2**64 - 1))
    step, class_times, tally = packed_step(shape), packed_class_times(shape), packed_tally(shape)
    move = packed_move(shape)
    state_type = move_type = np.uint32 if shape.decoder is decode.automaton else word

    @stage
    def move_of(t: Any, bucket: Any, threshold: Any, value: Any, drawn: Any) -> Any:
        if cells == 0:
            return move(look_up(t, bucket, ZERO32, np.uint32(drawn)))
        code = value[0]
        for c in range(1, n_cells):
            code = value[c] if np.uint32(drawn) >= threshold[c] else code
        return code

    @kernel
    def streamed(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        hist = cuda.shared.array(bins, np.uint32)
        table = cuda.shared.array(table_size, np.uint64)
        bucket = cuda.shared.array(bucket_size, np.uint64)
        threshold = cuda.local.array(n_cells, np.uint32)
        value = cuda.local.array(n_cells, move_type)
        if states > 0:
            fill(table, t.walk)
        if n_buckets > 0:
            fill(bucket, t.bucket)
        clear(hist, n_bins)
        walk = table if states > 0 else t.walk
        value[0] = move(t.value[ZERO32])
        for c in range(1, n_cells):
            threshold[c] = t.threshold[np.uint32(c - 1)]
            value[c] = move(t.value[np.uint32(c)])
        inner = word(t.inner)
        offset = sub_batch_start(first)
        i = thread_start(offset)
        stride = thread_step()
        while i < count:
            state = state_type(t.first_state)
            when = start_times
            for b in range(full_blocks):
                w0, w1, w2, w3 = block_of(seed, first + i, b, PACKETS)
                state, when = step(walk, inner, state, when, move_of(t, bucket, threshold, value, w0), ONE32)
                state, when = step(walk, inner, state, when, move_of(t, bucket, threshold, value, w1), ONE32)
                state, when = step(walk, inner, state, when, move_of(t, bucket, threshold, value, w2), ONE32)
                state, when = step(walk, inner, state, when, move_of(t, bucket, threshold, value, w3), ONE32)
            if left > 0:
                w0, w1, w2, w3 = block_of(seed, first + i, full_blocks, PACKETS)
                state, when = step(walk, inner, state, when, move_of(t, bucket, threshold, value, w0), ONE32)
                if left > 1:
                    state, when = step(walk, inner, state, when, move_of(t, bucket, threshold, value, w1), ONE32)
                if left > 2:
                    state, when = step(walk, inner, state, when, move_of(t, bucket, threshold, value, w2), ONE32)
            tally(hist, ZERO32, ONE32, class_times(t, when, n_times))
            i += stride
        flush(hist, n_bins, out)

    return streamed

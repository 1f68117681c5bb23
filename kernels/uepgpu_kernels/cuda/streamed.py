"""The kernel of the count domain where packets arrive in the order drawn: each is decoded as it is drawn, none is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.sample import combination_of
from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.draw import block_of, look_up
from uepgpu_kernels.cuda.packed import ONES, packed_class_times, packed_move, packed_step, word_type
from uepgpu_kernels.cuda.shape import BUCKET_BITS, Shape
from uepgpu_kernels.cuda.span import clear, fill, flush, sub_batch_start, thread_start, thread_step
from uepgpu_kernels.cuda.stage import cuda, kernel, stage
from uepgpu_kernels.cuda.tally import packed_tally
from uepgpu_kernels.joint import COLUMNS
from uepgpu_kernels.streams import PACKETS

__all__ = ["streamed_kernel"]

ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
BYTE, EIGHT = np.uint64(0xFF), np.uint64(8)


def streamed_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``."""
    n, m, bins, states = shape.n_packets, shape.per_word, max(shape.bins, 1), shape.states
    full_blocks = n // (4 * m)
    # Of the last block: how many packets of each word there are.
    in_0, in_1, in_2, in_3 = (max(0, min(m, n - m * (4 * full_blocks + i))) for i in range(4))
    n_buckets, n_columns = (1 << BUCKET_BITS, 0) if m == 1 else (0, COLUMNS)
    table_size, bucket_size, alias_size = max(states, 1), max(n_buckets, 1), max(n_columns, 1)
    word = word_type(shape)
    start_times = word(ONES & (2**32 - 1 if word is np.uint32 else 2**64 - 1))
    step, class_times, tally = packed_step(shape), packed_class_times(shape), packed_tally(shape)
    move = packed_move(shape)
    state_type = np.uint32 if shape.decoder is decode.automaton else word

    @stage
    def take(
        t: Any, bucket: Any, alias: Any, together: Any, walk: Any, inner: Any, state: Any, when: Any, drawn: Any, some: Any
    ) -> Any:
        """Take the first `some` packets of a word."""
        if m == 1:
            state, when = step(walk, inner, state, when, move(look_up(t, bucket, ZERO32, np.uint32(drawn))), ONE32)
        else:
            values = together[combination_of(np.uint32(drawn), alias)]
            for _ in range(some):
                state, when = step(walk, inner, state, when, move(np.uint32(values & BYTE)), ONE32)
                values >>= EIGHT
        return state, when

    @kernel
    def streamed(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        hist = cuda.shared.array(bins, np.uint32)
        table = cuda.shared.array(table_size, np.uint64)
        bucket = cuda.shared.array(bucket_size, np.uint64)
        alias = cuda.shared.array(alias_size, np.uint32)
        together = cuda.shared.array(alias_size, np.uint64)
        if states > 0:
            fill(table, t.walk)
        if n_buckets > 0:
            fill(bucket, t.bucket)
        if n_columns > 0:
            fill(alias, t.alias)
            fill(together, t.together)
        clear(hist, n_bins)
        walk = table if states > 0 else t.walk
        inner = word(t.inner)
        offset = sub_batch_start(first)
        i = thread_start(offset)
        stride = thread_step()
        while i < count:
            state = state_type(t.first_state)
            when = start_times
            for b in range(full_blocks):
                w0, w1, w2, w3 = block_of(seed, first + i, b, PACKETS)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w0, m)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w1, m)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w2, m)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w3, m)
            if in_0 > 0:
                w0, w1, w2, w3 = block_of(seed, first + i, full_blocks, PACKETS)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w0, in_0)
                if in_1 > 0:
                    state, when = take(t, bucket, alias, together, walk, inner, state, when, w1, in_1)
                if in_2 > 0:
                    state, when = take(t, bucket, alias, together, walk, inner, state, when, w2, in_2)
                if in_3 > 0:
                    state, when = take(t, bucket, alias, together, walk, inner, state, when, w3, in_3)
            tally(hist, ZERO32, ONE32, class_times(t, when, n_times))
            i += stride
        flush(hist, n_bins, out)

    return streamed

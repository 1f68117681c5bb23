"""The kernel of the count domain where packets arrive in the order drawn: each is decoded as it is drawn, none is kept.

It serves where no table takes all packets of a word at once; :mod:`uepgpu_kernels.cuda.by_words` does elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.sample import combination_of
from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.draw import block_of, look_up_maker
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
HALF = np.uint32(16)
BYTE, EIGHT = np.uint64(0xFF), np.uint64(8)


def streamed_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``."""
    m, bins, states = shape.per_word, max(shape.bins, 1), shape.states
    n_buckets, n_columns = (1 << BUCKET_BITS, 0) if m == 1 else (0, COLUMNS)
    table_size, bucket_size, alias_size = max(states, 1), max(n_buckets, 1), max(n_columns, 1)
    word = word_type(shape)
    start_times = word(ONES & (2**32 - 1 if word is np.uint32 else 2**64 - 1))
    step, class_times, tally = packed_step(shape), packed_class_times(shape), packed_tally(shape)
    move, look_up = packed_move(shape), look_up_maker(shape)
    state_type = np.uint32 if shape.decoder is decode.automaton else word

    @stage
    def take(t: Any, bucket: Any, alias: Any, together: Any, walk: Any, inner: Any, state: Any, when: Any, drawn: Any) -> Any:
        """Take the packets of a word."""
        if m == 1:
            state, when = step(walk, inner, state, when, move(np.uint32(look_up(t, bucket, ZERO32, drawn) >> HALF)), ONE32)
        else:
            values = together[combination_of(drawn, alias)]
            for _ in range(m):
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
        blocks = t.n_blocks  # the last one whole: see `packed_tally`
        while i < count:
            state = state_type(t.first_state)
            when = start_times
            for b in range(blocks):
                w0, w1, w2, w3 = block_of(seed, first + i, b, PACKETS)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w0)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w1)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w2)
                state, when = take(t, bucket, alias, together, walk, inner, state, when, w3)
            tally(hist, ZERO32, ONE32, class_times(t, when, n_times), n_times)
            i += stride
        flush(hist, n_bins, out)

    return streamed

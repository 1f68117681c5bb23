"""The kernels of trajectories: a thread takes a realization through all its rounds, and the block tallies each of them.

What lasts from round to round stays with the thread: the state of every worker, a byte each and four to a word as words of draws
come, or the row of a trace. Threads of a block go through rounds together, so that one histogram serves all: after each it is added
to the counters of the round.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.sample import below
from uepgpu_kernels.cuda.draw import block_of, look_up_maker, put_in_order, search, shuffle, trace_maker
from uepgpu_kernels.cuda.shape import BUCKET_BITS, Shape
from uepgpu_kernels.cuda.sorted import walker
from uepgpu_kernels.cuda.span import BATCHES, clear, fill, sub_batch_start, thread_start, thread_step
from uepgpu_kernels.cuda.stage import cuda, kernel, stage
from uepgpu_kernels.cuda.tables import code_bits
from uepgpu_kernels.cuda.tally import packed_tally, subproduct_tally
from uepgpu_kernels.job import AT_RANDOM, IN_ORDER, SUB_BATCHES
from uepgpu_kernels.streams import PACKETS, TRACES

__all__ = ["rounds_kernel"]

BATCH_MASK = np.uint32(SUB_BATCHES - 1)
ZERO64 = np.uint64(0)
ONE64 = np.uint64(1)
ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
TWO32 = np.uint32(2)
THREE32 = np.uint32(3)
FOUR32 = np.uint32(4)
BYTE = np.uint32(0xFF)
FIVE64 = np.uint64(5)
EIGHT, SIXTEEN = np.uint32(8), np.uint32(16)
ROWS = np.uint32(0xFFFFFFFC)


def rounds_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``, with `out` by round, sub-batch and number.

    Where class patterns alone are tallied, `record` gets the times of classes, as :mod:`uepgpu_kernels.cuda.squares` reads them.
    """
    return _in_registers(shape) if shape.nest == "sorted" else _in_lists(shape)


@stage
def hand_over(hist: Any, n: Any, out: Any, row: Any) -> None:
    """Wait until all of the block have counted a round, then move its n counters to those that begin at `row` of `out`."""
    cuda.syncthreads()
    i = np.uint32(cuda.threadIdx.x)
    while i < n:
        found = hist[i]
        if found != ZERO32:
            cuda.atomic.add(out, row + np.uint64(i), np.uint64(found))
            hist[i] = ZERO32
        i = np.uint32(i + np.uint32(cuda.blockDim.x))
    cuda.syncthreads()


@stage
def round_rows(n_bins: Any, out: Any) -> tuple[Any, Any, Any]:
    """Return where the block's counters begin in round 0, how far rounds lie apart there, and how many there are."""
    width = BATCHES * np.uint64(n_bins)
    mine = np.uint64(np.uint32(cuda.blockIdx.x) & BATCH_MASK) * np.uint64(n_bins)
    return mine, width, np.uint32(np.uint64(out.shape[0]) // width)


@stage
def record_place(count: Any, i: Any) -> tuple[Any, Any]:
    """Return where `record` has the first class of realization i in round 0, and how far classes lie apart there."""
    n_most = np.uint64(np.uint64(count + BATCHES - ONE64) >> FIVE64)
    batch = np.uint64(np.uint32(cuda.blockIdx.x) & BATCH_MASK)
    return batch * n_most + np.uint64(i >> FIVE64), BATCHES * n_most


def _n_past(shape: Shape) -> int:
    """Return how many words hold the states of all workers."""
    return shape.n_packets // 4 if shape.state_bits else 1


def _row_maker(shape: Shape) -> Any:
    """Return the step ``(t, seed, realization, at, row) -> row`` from one round's row of a trace to that of round `at`."""
    in_order, at_random = shape.replay == IN_ORDER, shape.replay == AT_RANDOM

    @stage
    def next_row(t: Any, seed: Any, realization: Any, at: Any, row: Any) -> Any:
        after = row + ONE64
        if after == t.n_rounds:
            after = ZERO64
        if in_order:
            if at == ZERO32:
                after = realization % t.n_rounds
        else:
            w0, w1, w2, w3 = block_of(seed, realization, at >> ONE32, TRACES)
            odd = at & ONE32 != ZERO32
            again = w2 if odd else w0
            if at_random or at == ZERO32 or again < t.group[np.uint32(np.uint32(np.uint32(t.n_packets + 3) & ROWS) + ONE32)]:
                after = below(np.uint64(w3 if odd else w1), t.n_rounds)
        return after

    return next_row


def _draw_maker(shape: Shape, put: Any, key_bits: int) -> Any:
    """Return the step ``(t, bucket, seed, realization, at, n_times, row, past, window, keys)`` that draws the packets of a round.

    `put` writes a value into the window and key of a packet; in a key the time is above `key_bits`. `past` has 1 + the state of
    workers in the round before, or zeros before round 0, and is left with those of this one.
    """
    kept, grouped, traced, shuffled = shape.state_bits > 0, shape.grouped, shape.traced, shape.shuffled
    fast = shape.nest == "sorted"
    mask, at_state = np.uint32((1 << shape.state_bits) - 1), SIXTEEN if fast else ZERO32
    bits, rest = np.uint32(key_bits), np.uint32((1 << key_bits) - 1)
    n_columns = shape.n_packets if shuffled else 1
    look_up, (_, time_of) = look_up_maker(shape), trace_maker(shape)

    @stage
    def value_of(t: Any, bucket: Any, held: Any, w: Any, word: Any) -> Any:
        """Return the value of a word by the state in the lowest byte of `held`."""
        g = t.group[w] if grouped else ZERO32
        if kept:
            state = np.uint32(held & BYTE)
            g = np.uint32(g + np.uint32(state * t.group[np.uint32(np.uint32(t.n_packets + 3) & ROWS)]) if grouped else state)
        return look_up(t, bucket, g, word) if fast else search(t, g, word)

    @stage
    def next_of(value: Any) -> Any:
        return np.uint32(np.uint32(np.uint32(value >> at_state) & mask) + ONE32)

    @stage
    def draw(
        t: Any, bucket: Any, seed: Any, realization: Any, at: Any, n_times: Any, row: Any, past: Any, window: Any, keys: Any
    ) -> None:
        n_packets = np.uint32(t.n_packets)
        blocks = np.uint32(np.uint32(n_packets + THREE32) >> TWO32)
        before = np.uint32(at * blocks)
        block = ZERO32
        while block < blocks:
            w0, w1, w2, w3 = block_of(seed, realization, before + block, PACKETS)
            head = np.uint32(block << TWO32)
            held = past[block] if kept else ZERO32
            v0 = value_of(t, bucket, held, head, w0)
            v1 = value_of(t, bucket, np.uint32(held >> EIGHT), head + ONE32, w1)
            v2 = value_of(t, bucket, np.uint32(held >> SIXTEEN), head + TWO32, w2)
            v3 = value_of(t, bucket, np.uint32(held >> np.uint32(24)), head + THREE32, w3)
            if kept:
                upper = np.uint32(np.uint32(next_of(v3) << EIGHT) | next_of(v2))
                lower = np.uint32(np.uint32(next_of(v1) << EIGHT) | next_of(v0))
                past[block] = np.uint32(np.uint32(upper << SIXTEEN) | lower)
            put(window, keys, head, v0)
            put(window, keys, head + ONE32, v1)
            put(window, keys, head + TWO32, v2)
            put(window, keys, head + THREE32, v3)
            block = np.uint32(block + ONE32)
        if traced:
            columns = cuda.local.array(n_columns, np.uint16)
            if shuffled:
                shuffle(t.n_packets, seed, realization, np.int64(before), columns)
            for w in range(t.n_packets):
                key = keys[w]
                time = time_of(t, row, columns, np.uint32(key >> bits), w, n_times)
                keys[w] = np.uint32(np.uint32(time << bits) | np.uint32(key & rest))

    return draw


def _in_registers(shape: Shape) -> Any:
    """Return the kernel of few packets: their order and decoding as in :mod:`uepgpu_kernels.cuda.sorted`."""
    n, bins, states, n_past, traced = shape.n_packets, max(shape.bins, 1), shape.states, _n_past(shape), shape.traced
    far = shape.grouped or shape.fine or shape.state_bits > 0  # buckets stay in global memory
    bucket_size, table_size = 1 if far else 1 << BUCKET_BITS, max(states, 1)
    key_bits = 16 + code_bits(shape)
    time_bits, code = np.uint32(key_bits), np.uint32(16 + shape.state_bits)
    low = np.uint32((1 << code_bits(shape) - shape.state_bits) - 1)
    tally, next_row, n_classes = packed_tally(shape), _row_maker(shape), shape.n_classes

    @stage
    def key_time(key: Any) -> Any:
        return np.uint32(key >> time_bits)

    @stage
    def code_of(key: Any) -> Any:
        return np.uint32(np.uint32(key >> code) & low)

    @stage
    def put(window: Any, keys: Any, w: Any, value: Any) -> None:
        keys[w] = value

    draw, sort_and_walk = _draw_maker(shape, put, key_bits), walker(n, key_time, code_of)

    @kernel
    def rounds(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        hist = cuda.shared.array(bins, np.uint32)
        table = cuda.shared.array(table_size, np.uint64)
        bucket = cuda.shared.array(bucket_size, np.uint64)
        past = cuda.local.array(n_past, np.uint32)
        keys = cuda.local.array(n, np.uint32)
        if states > 0:
            fill(table, t.walk)
        if not far:
            fill(bucket, t.bucket)
        clear(hist, n_bins)
        walk = table if states > 0 else t.walk
        buckets = t.bucket if far else bucket
        mine, width, n_rounds = round_rows(n_bins, out)
        i = thread_start(sub_batch_start(first))
        stride = thread_step()
        # All of a block go on while one has a realization left.
        while i - BATCHES * np.uint64(cuda.threadIdx.x) < count:
            for b in range(n_past):
                past[b] = ZERO32
            row = ZERO64
            at = ZERO32
            counters = mine
            place, apart = record_place(count, i)
            while at < n_rounds:
                if i < count:
                    if traced:
                        row = next_row(t, seed, first + i, at, row)
                    draw(t, buckets, seed, first + i, at, n_times, row, past, keys, keys)
                    w = np.uint32(t.n_packets)
                    while w < n:
                        keys[w] = np.uint32(n_times << time_bits)
                        w = np.uint32(w + ONE32)
                    times = np.uint64(sort_and_walk(keys, walk, n_times))
                    tally(hist, ZERO32, ONE32, times, n_times)
                    for _ in range(n_classes):
                        record[place] = np.uint32(np.uint32(times) & BYTE)
                        times >>= np.uint64(8)
                        place += apart
                hand_over(hist, n_bins, out, counters)
                counters += width
                at = np.uint32(at + ONE32)
            i += stride

    return rounds


def _in_lists(shape: Shape) -> Any:
    """Return the kernel of everything else: packets are listed, as in :mod:`uepgpu_kernels.cuda.listed`."""
    n, k, bins, n_past, traced = shape.n_packets, shape.k, shape.bins, _n_past(shape), shape.traced
    size, state = max(bins, 1), np.uint32(shape.state_bits)
    low, high = np.uint32(0xFFFF), np.uint32(0xFFFF0000)
    tally, next_row, decode = subproduct_tally(shape), _row_maker(shape), shape.decoder(shape)
    n_classes, recorded = shape.n_classes, shape.kind == "patterns"

    @stage
    def put(window: Any, keys: Any, w: Any, value: Any) -> None:
        window[w] = np.uint16(np.uint32(value & low) >> state)
        keys[w] = np.uint32(np.uint32(value & high) | np.uint32(w))

    draw = _draw_maker(shape, put, 16)

    @kernel
    def listed_rounds(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        hist = cuda.shared.array(size, np.uint32)
        past = cuda.local.array(n_past, np.uint32)
        window = cuda.local.array(n, np.uint16)
        keys = cuda.local.array(n, np.uint32)
        when = cuda.local.array(k, np.uint32)
        if bins > 0:
            clear(hist, n_bins)
        mine, width, n_rounds = round_rows(n_bins, out)
        i = thread_start(sub_batch_start(first))
        stride = thread_step()
        # All of a block go on while one has a realization left.
        while i - BATCHES * np.uint64(cuda.threadIdx.x) < count:
            for b in range(n_past):
                past[b] = ZERO32
            row = ZERO64
            at = ZERO32
            counters = mine
            place, apart = record_place(count, i)
            while at < n_rounds:
                if i < count:
                    if traced:
                        row = next_row(t, seed, first + i, at, row)
                    draw(t, t.bucket, seed, first + i, at, n_times, row, past, window, keys)
                    arrived = put_in_order(t, n_times, keys)
                    for j in range(k):
                        when[j] = n_times
                    decode(t, seed, first + i, window, keys, arrived, when)
                    if bins > 0:
                        tally(t, hist, ZERO32, ONE32, n_times, when)
                    else:
                        tally(t, out, counters, ONE64, n_times, when)
                    if recorded:
                        for c in range(n_classes):
                            time = ZERO32
                            for j in range(k):
                                if t.class_of[j] == np.uint32(c):
                                    time = max(time, when[j])
                            record[place] = time
                            place += apart
                if bins > 0:
                    hand_over(hist, n_bins, out, counters)
                counters += width
                at = np.uint32(at + ONE32)
            i += stride

    return listed_rounds

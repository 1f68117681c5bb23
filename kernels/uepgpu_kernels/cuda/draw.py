"""Draws of one thread: values of packets, and their order of arrival in a list."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.philox import MASK, SHIFT
from uepgpu_kernels.bodies.sample import below, combination_of
from uepgpu_kernels.cuda.messages import message_maker
from uepgpu_kernels.cuda.philox import philox
from uepgpu_kernels.cuda.shape import BUCKET_BITS, FINE_BITS, Shape
from uepgpu_kernels.cuda.stage import cuda, stage
from uepgpu_kernels.cuda.tables import CROWDED
from uepgpu_kernels.job import AT_RANDOM, BY_PERMUTATION, BY_TIME
from uepgpu_kernels.streams import ORDER, PACKETS, RACKS, TRACES

__all__ = ["block_of", "flags_of", "list_maker", "look_up_maker", "rack_maker", "search", "trace_maker"]

ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
ZERO64 = np.uint64(0)
HALF = np.uint32(16)
LOW16 = np.uint32(0xFFFF)
THREE32, ROWS = np.uint32(3), np.uint32(0xFFFFFFFC)
FIVE, LOW5 = np.uint32(5), np.uint32(31)
BYTE, EIGHT = np.uint64(0xFF), np.uint64(8)
CROWDED_ABOVE = np.uint32(CROWDED << 16)


@stage
def block_of(seed: Any, realization: Any, number: Any, stream: Any) -> Any:
    """Return the four words of block `number` of a stream, as uint32."""
    low, high = np.uint32(realization & MASK), np.uint32(realization >> SHIFT)
    return philox(low, high, np.uint32(number), np.uint32(stream), np.uint32(seed & MASK), np.uint32(seed >> SHIFT))


@stage
def search(t: Any, g: Any, word: Any) -> Any:
    """Return the value of a word in table g, by binary search."""
    first = np.uint32(g * t.width)
    low = ZERO32
    rest = t.n_threshold[g]
    for _ in range(t.halvings):
        half = np.uint32(rest >> ONE32)
        passed = rest > ZERO32 and word >= t.threshold[np.uint32(first + np.uint32(low + half))]
        low = np.uint32(np.uint32(low + half) + ONE32) if passed else low
        rest = np.uint32(np.uint32(rest - half) - ONE32) if passed else half
    return t.value[np.uint32(first + low)]


def look_up_maker(shape: Shape) -> Any:
    """Return the step ``(t, bucket, g, word) -> value`` of a word in table g, whose buckets lie in `bucket`.

    The value is in the upper half; the lower half says nothing.
    """
    bits = FINE_BITS if shape.fine else BUCKET_BITS
    leading, width = np.uint32(32 - bits), np.uint32(bits)

    @stage
    def look_up(t: Any, bucket: Any, g: Any, word: Any) -> Any:
        entry = bucket[np.uint32(np.uint32(g << width) + np.uint32(word >> leading))]
        values = np.uint32(entry)
        found = values if word >= np.uint32(entry >> SHIFT) else np.uint32(values << HALF)
        if values >= CROWDED_ABOVE:
            found = np.uint32(search(t, g, word) << HALF)
        return found

    return look_up


def rack_maker(shape: Shape) -> tuple[Any, Any]:
    """Return the steps ``(t, seed, realization, flags)``, which draws racks into (⌈W/32⌉,) uint32, and ``(t, flags, w) -> table``.

    Where there are no racks, the first does nothing and `flags` is not read.
    """
    racked, n_flags, by_packet = shape.racked, flags_of(shape), shape.racked and not shape.several
    one = n_flags == 1

    @stage
    def padded_rows(t: Any) -> Any:
        return np.uint32(np.uint32(t.n_packets + 3) & ROWS)

    @stage
    def draw_racks(t: Any, seed: Any, realization: Any, flags: Any) -> None:
        if racked:
            for i in range(n_flags):
                flags[i] = ZERO32
            at_numbers = np.uint32(THREE32 * padded_rows(t))
            n_racks = t.group[at_numbers]
            below = t.group[np.uint32(at_numbers + ONE32)]
            for head in range(0, n_racks, 4):
                w0, w1, w2, w3 = block_of(seed, realization, head >> 2, RACKS)
                struck = np.uint32(
                    (1 if w0 < below else 0) | (2 if w1 < below else 0) | (4 if w2 < below else 0) | (8 if w3 < below else 0)
                )
                i = 0 if one else head >> 5
                flags[i] = np.uint32(flags[i] | np.uint32(struck << np.uint32(head & 31)))

    @stage
    def table_of(t: Any, flags: Any, w: Any) -> Any:
        if by_packet:
            padded = padded_rows(t)
            rack = t.group[np.uint32(np.uint32(padded + padded) + np.uint32(w))]
            struck = np.uint32(flags[0 if one else rack >> FIVE] >> np.uint32(rack & LOW5)) & ONE32
            return t.group[np.uint32(np.uint32(struck * padded) + np.uint32(w))]
        return t.group[w]

    return draw_racks, table_of


def flags_of(shape: Shape) -> int:
    """Return how many 32-bit words hold a bit for every rack."""
    return (shape.n_packets + 31) // 32 if shape.racked else 1


def trace_maker(shape: Shape) -> tuple[Any, Any]:
    """Return the steps ``(t, seed, realization, columns) -> round`` and ``(t, round, columns, work, w, n_times) -> time``.

    Where the trace is shuffled, the first writes whose latency each packet has into `columns` (W,) uint16, which the second reads.
    Without a trace the time is the `work` itself.
    """
    traced, drawn, shuffled, several = shape.traced, shape.replay == AT_RANDOM, shape.shuffled, shape.several

    @stage
    def draw_round(t: Any, seed: Any, realization: Any, columns: Any) -> Any:
        row = ZERO64
        if traced:
            row = realization % t.n_rounds
            if drawn:
                w0, w1, w2, w3 = block_of(seed, realization, 0, TRACES)
                row = below(np.uint64(w1), t.n_rounds)
            if shuffled:
                n = t.n_packets // np.int64(t.group[t.group.shape[0] - 1]) if several else t.n_packets
                last = n - 1
                for w in range(n):
                    columns[w] = np.uint16(w)
                w0, w1, w2, w3 = block_of(seed, realization, last >> 2, ORDER)
                for back in range(n - 1):
                    i = last - back
                    place = i & 3
                    word = w0 if place == 0 else w1 if place == 1 else w2 if place == 2 else w3
                    j = np.uint32(below(np.uint64(word), np.uint64(i + 1)))
                    x = columns[i]
                    columns[i] = columns[j]
                    columns[j] = x
                    if place == 0:
                        w0, w1, w2, w3 = block_of(seed, realization, (i >> 2) - 1, ORDER)
        return row

    @stage
    def time_of(t: Any, row: Any, columns: Any, work: Any, w: Any, n_times: Any) -> Any:
        time = np.uint32(work)
        if traced and not several:
            time = np.uint32(n_times)
            if work < t.n_works:
                column = np.uint64(columns[w] if shuffled else w)
                time = np.uint32(t.arrival[(np.uint64(work) * t.n_rounds + row) * np.uint64(t.n_packets) + column])
        return time

    return draw_round, time_of


def list_maker(shape: Shape) -> Any:
    """Return the step that lists packets in order of arrival.

    ``(t, seed, realization, window, keys) -> arrived``: `window` by packet; `keys` in order of arrival, the time
    above 16 bits and the packet below; `arrived` packets arrive in time.
    """
    by_time = shape.order == BY_TIME
    permuted = shape.order == BY_PERMUTATION
    per_word = shape.per_word
    n_flags = flags_of(shape)
    draw_racks, table_of = rack_maker(shape)
    draw_round, time_of = trace_maker(shape)
    n_columns = shape.n_packets if shape.shuffled else 1
    several, set_times = shape.several, message_maker(shape, block_of, search)

    @stage
    def draw_four(t: Any, words: Any, seed: Any, realization: Any, number: Any, stream: Any) -> None:
        w0, w1, w2, w3 = block_of(seed, realization, number, stream)
        words[0] = np.uint32(w0)
        words[1] = np.uint32(w1)
        words[2] = np.uint32(w2)
        words[3] = np.uint32(w3)

    @stage
    def make_list(t: Any, seed: Any, realization: Any, n_times: Any, window: Any, keys: Any) -> Any:
        n = t.n_packets
        words = cuda.local.array(4, np.uint32)
        flags = cuda.local.array(n_flags, np.uint32)
        draw_racks(t, seed, realization, flags)
        columns = cuda.local.array(n_columns, np.uint16)
        row = draw_round(t, seed, realization, columns)
        together = np.uint64(0)
        for w in range(n):
            if w % (4 * per_word) == 0:
                draw_four(t, words, seed, realization, w // (4 * per_word), PACKETS)
            if per_word == 1:
                value = search(t, table_of(t, flags, w), words[w & 3])
            else:
                if w % per_word == 0:
                    together = t.together[combination_of(words[(w // per_word) & 3], t.alias)]
                value = t.value[np.uint32(together & BYTE)]
                together >>= EIGHT
            window[w] = np.uint16(value & LOW16)
            time = time_of(t, row, columns, np.uint32(value >> HALF), w, n_times)
            keys[w] = np.uint32(np.uint32(time << HALF) | np.uint32(w)) if by_time else np.uint32(w)
        if several:
            set_times(t, seed, realization, flags, row, columns, keys, n_times)
        if by_time:
            for i in range(t.network.shape[0] >> 1):
                a = t.network[2 * i]
                b = t.network[2 * i + 1]
                x = keys[a]
                y = keys[b]
                keys[a] = min(x, y)
                keys[b] = max(x, y)
        if permuted:
            draw_four(t, words, seed, realization, (n - 1) >> 2, ORDER)
            for back in range(n - 1):
                i = (n - 1) - back
                j = np.uint32(below(np.uint64(words[i & 3]), np.uint64(i + 1)))
                x = keys[i]
                keys[i] = keys[j]
                keys[j] = x
                if i & 3 == 0:
                    draw_four(t, words, seed, realization, (i >> 2) - 1, ORDER)
        arrived = n
        if by_time:
            arrived = 0
            for w in range(n):
                arrived += 1 if (keys[w] >> HALF) < n_times else 0
        else:
            for w in range(n):
                keys[w] = np.uint32(keys[w] | np.uint32((w + 1) << 16))
        return arrived

    return make_list

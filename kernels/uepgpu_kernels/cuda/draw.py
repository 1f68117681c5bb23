"""Draws of one thread: values of packets, and their order of arrival in a list."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.philox import MASK, SHIFT
from uepgpu_kernels.bodies.sample import below, combination_of
from uepgpu_kernels.cuda.philox import philox
from uepgpu_kernels.cuda.shape import BUCKET_BITS, FINE_BITS, Shape
from uepgpu_kernels.cuda.stage import cuda, stage
from uepgpu_kernels.cuda.tables import CROWDED
from uepgpu_kernels.job import BY_PERMUTATION, BY_TIME
from uepgpu_kernels.streams import ORDER, PACKETS

__all__ = ["block_of", "list_maker", "look_up_maker", "search"]

ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
HALF = np.uint32(16)
LOW16 = np.uint32(0xFFFF)
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


def list_maker(shape: Shape) -> Any:
    """Return the step that lists packets in order of arrival.

    ``(t, seed, realization, window, keys) -> arrived``: `window` by packet; `keys` in order of arrival, the time
    above 16 bits and the packet below; `arrived` packets arrive in time.
    """
    by_time = shape.order == BY_TIME
    permuted = shape.order == BY_PERMUTATION
    per_word = shape.per_word

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
        together = np.uint64(0)
        for w in range(n):
            if w % (4 * per_word) == 0:
                draw_four(t, words, seed, realization, w // (4 * per_word), PACKETS)
            if per_word == 1:
                value = search(t, t.group[w], words[w & 3])
            else:
                if w % per_word == 0:
                    together = t.together[combination_of(words[(w // per_word) & 3], t.alias)]
                value = t.value[np.uint32(together & BYTE)]
                together >>= EIGHT
            window[w] = np.uint16(value & LOW16)
            keys[w] = np.uint32(((value >> HALF) << HALF) | np.uint32(w)) if by_time else np.uint32(w)
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

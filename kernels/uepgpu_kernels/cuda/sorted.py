"""The kernel of the deadline domain for few packets: values are drawn, sorted in registers, and walked.

NVVM does not unroll a sorting network, and an array that is indexed by a variable cannot lie in registers. So the network is
written out as straight-line source, in which every key is a variable of its own, and compiled, with the walk of an automaton
after it. Draws are a loop: written out too, they would take minutes to compile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.draw import block_of, flags_of, look_up_maker, rack_maker, trace_maker
from uepgpu_kernels.cuda.packed import ONES, packed_class_times, packed_move, packed_step, word_type
from uepgpu_kernels.cuda.shape import BUCKET_BITS, Shape
from uepgpu_kernels.cuda.span import clear, fill, flush, sub_batch_start, thread_start, thread_step
from uepgpu_kernels.cuda.stage import cuda, kernel, stage
from uepgpu_kernels.cuda.tables import code_bits
from uepgpu_kernels.cuda.tally import packed_tally
from uepgpu_kernels.network import merge_exchange
from uepgpu_kernels.streams import PACKETS

__all__ = ["network_source", "sorted_kernel", "walk_source", "walker"]

SHIFT = np.uint64(32)
ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
TWO32 = np.uint32(2)
THREE32 = np.uint32(3)
FOUR32 = np.uint32(4)


def network_source(n: int) -> str:
    """Return the source of the step ``sort(keys)`` for n keys.

    Examples
    --------
    >>> print(network_source(3))
    def sort(keys):
        k0 = keys[0]
        k1 = keys[1]
        k2 = keys[2]
        k0, k2 = min(k0, k2), max(k0, k2)
        k0, k1 = min(k0, k1), max(k0, k1)
        k1, k2 = min(k1, k2), max(k1, k2)
        keys[0] = k0
        keys[1] = k1
        keys[2] = k2
    <BLANKLINE>
    """
    return _source("def sort(keys):", [*_network(n), *(f"keys[{i}] = k{i}" for i in range(n))])


def _network(n: int) -> list[str]:
    lines = [f"k{i} = keys[{i}]" for i in range(n)]
    return lines + [f"k{a}, k{b} = min(k{a}, k{b}), max(k{a}, k{b})" for a, b in merge_exchange(n).tolist()]


def walk_source(n: int) -> str:
    """Return the source of the step ``sort_and_walk(keys, walk, n_times) -> when``: n keys are sorted, and walk an automaton."""
    lines = [*_network(n), "time = key_time(k0)", "when = u32(ONES * time)", "state = u32(0)"]
    for i in range(n):
        later = f"key_time(k{i + 1})" if i + 1 < n else "n_times"
        lines += [
            f"entry = walk[u32(state + code_of(k{i}))]",
            f"later = {later}",
            "when = u32(when + u32(u32(entry >> SHIFT) * u32(later - time)))",
            "state, time = u32(entry), later",
        ]
    return _source("def sort_and_walk(keys, walk, n_times):", [*lines, "return when"])


def _source(head: str, lines: list[str]) -> str:
    return f"{head}\n" + "".join(f"    {line}\n" for line in lines)


def _compiled(source: str, name: str, **known: Any) -> Any:
    exec(compile(source, "<uepgpu_kernels.cuda.sorted>", "exec"), known)
    return stage(known[name])


def walker(n: int, key_time: Any, code_of: Any) -> Any:
    """Return the step of :func:`walk_source`, for keys that these steps read."""
    ones = np.uint32(ONES & (2**32 - 1))
    known = {"u32": np.uint32, "SHIFT": SHIFT, "ONES": ones, "key_time": key_time, "code_of": code_of}
    return _compiled(walk_source(n), "sort_and_walk", **known)


def _realizer(shape: Shape) -> Any:
    """Return the step ``(t, walk, inner, bucket, seed, realization, state, n_times) -> when`` of one realization."""
    n, grouped, word, move, step = shape.n_packets, shape.grouped, word_type(shape), packed_move(shape), packed_step(shape)
    code = np.uint32(16)
    bits = np.uint32(16 + code_bits(shape))
    low = np.uint32((1 << code_bits(shape)) - 1)
    rest = np.uint32((1 << (16 + code_bits(shape))) - 1)
    ones = word(ONES & (2**32 - 1 if word is np.uint32 else 2**64 - 1))
    walked, look_up = shape.decoder is decode.automaton, look_up_maker(shape)

    @stage
    def key_time(key: Any) -> Any:
        return np.uint32(key >> bits)

    @stage
    def code_of(key: Any) -> Any:
        return np.uint32(np.uint32(key >> code) & low)

    sort = _compiled(network_source(n), "sort")
    sort_and_walk: Any = walker(n, key_time, code_of) if walked else None

    n_flags = flags_of(shape)
    draw_racks, table_of = rack_maker(shape)
    draw_round, time_of = trace_maker(shape)
    traced, n_columns = shape.traced, n if shape.shuffled else 1

    @stage
    def value_of(t: Any, bucket: Any, flags: Any, w: Any, drawn: Any) -> Any:
        return look_up(t, bucket, table_of(t, flags, w) if grouped else ZERO32, drawn)

    @stage
    def read_times(t: Any, seed: Any, realization: Any, keys: Any, n_times: Any) -> None:
        """Put times of arrival in the place of works."""
        if traced:
            columns = cuda.local.array(n_columns, np.uint16)
            row = draw_round(t, seed, realization, columns)
            for w in range(t.n_packets):
                key = keys[w]
                time = time_of(t, row, columns, key_time(key), w, n_times)
                keys[w] = np.uint32(np.uint32(time << bits) | np.uint32(key & rest))

    @stage
    def draw_keys(t: Any, bucket: Any, seed: Any, realization: Any, n_times: Any, keys: Any) -> None:
        flags = cuda.local.array(n_flags, np.uint32)
        draw_racks(t, seed, realization, flags)
        # Counters are 32-bit and loops are written out: Numba's ranges are of 64 bits, which costs as much as the steps.
        n_packets = np.uint32(t.n_packets)
        head = ZERO32
        while head < n_packets:
            w0, w1, w2, w3 = block_of(seed, realization, head >> TWO32, PACKETS)
            keys[head] = value_of(t, bucket, flags, head, w0)
            keys[head + ONE32] = value_of(t, bucket, flags, head + ONE32, w1)
            keys[head + TWO32] = value_of(t, bucket, flags, head + TWO32, w2)
            keys[head + THREE32] = value_of(t, bucket, flags, head + THREE32, w3)
            head = np.uint32(head + FOUR32)
        w = n_packets
        while w < n:
            keys[w] = np.uint32(n_times << bits)
            w = np.uint32(w + ONE32)
        read_times(t, seed, realization, keys, n_times)

    @stage
    def realize(t: Any, walk: Any, inner: Any, bucket: Any, seed: Any, realization: Any, state: Any, n_times: Any) -> Any:
        keys = cuda.local.array(n, np.uint32)
        draw_keys(t, bucket, seed, realization, n_times, keys)
        if walked:
            when = sort_and_walk(keys, walk, n_times)
        else:
            sort(keys)
            key = keys[0]
            time = key_time(key)
            when = word(ones * word(time))
            w = ONE32
            while w < n:
                after = keys[w]
                later = key_time(after)
                state, when = step(walk, inner, state, when, move(code_of(key)), np.uint32(later - time))
                key = after
                time = later
                w = np.uint32(w + ONE32)
            state, when = step(walk, inner, state, when, move(code_of(key)), np.uint32(n_times - time))
        return when

    return realize


def sorted_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``."""
    bins, states = max(shape.bins, 1), shape.states
    far = shape.grouped or shape.fine  # buckets stay in global memory
    bucket_size = 1 if far else 1 << BUCKET_BITS
    table_size = max(states, 1)
    word = word_type(shape)
    state_type = np.uint32 if shape.decoder is decode.automaton else word
    realize, class_times, tally = _realizer(shape), packed_class_times(shape), packed_tally(shape)

    @kernel
    def sorted_(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        hist = cuda.shared.array(bins, np.uint32)
        table = cuda.shared.array(table_size, np.uint64)
        bucket = cuda.shared.array(bucket_size, np.uint64)
        if states > 0:
            fill(table, t.walk)
        if not far:
            fill(bucket, t.bucket)
        clear(hist, n_bins)
        walk = table if states > 0 else t.walk
        buckets = t.bucket if far else bucket
        inner = word(t.inner)
        offset = sub_batch_start(first)
        i = thread_start(offset)
        stride = thread_step()
        while i < count:
            when = realize(t, walk, inner, buckets, seed, first + i, state_type(t.first_state), n_times)
            tally(hist, ZERO32, ONE32, class_times(t, when, n_times), n_times)
            i += stride
        flush(hist, n_bins, out)

    return sorted_

"""Arrivals of one thread where workers send several messages: times of keys that hold what each message is."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import cuda, stage
from uepgpu_kernels.job import ERLANG
from uepgpu_kernels.streams import MESSAGES

__all__ = ["message_maker"]

ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
THREE32, ROWS = np.uint32(3), np.uint32(0xFFFFFFFC)
FIVE, LOW5 = np.uint32(5), np.uint32(31)
HALF = np.uint32(16)


def message_maker(shape: Shape, block_of: Any, search: Any) -> Any:
    """Return the step ``(t, seed, realization, flags, row, columns, keys, n_times)``.

    It puts the time of arrival, n_times or more for never, in the place of twice the work and 1 more where a message is lost, above
    16 bits of `keys` (W m,) by packet. `flags` has the racks, `row` and `columns` the round of a trace; `block_of` and `search`
    are steps of :mod:`uepgpu_kernels.cuda.draw`.
    """
    erlang, traced, racked, shuffled = shape.progress == ERLANG, shape.traced, shape.racked, shape.shuffled
    n_come = shape.n_packets if erlang else 1

    @stage
    def first_table(t: Any, flags: Any, w: Any, padded: Any, at_due: Any) -> Any:
        """Return the first table of a worker's arrivals."""
        found = t.group[np.uint32(at_due + np.uint32(w))]
        if racked:
            rack = t.group[np.uint32(np.uint32(padded + padded) + np.uint32(w))]
            struck = np.uint32(flags[rack >> FIVE] >> np.uint32(rack & LOW5)) & ONE32
            found = t.group[np.uint32(padded + np.uint32(w))] if struck != ZERO32 else found
        return found

    @stage
    def word_of(place: Any, w0: Any, w1: Any, w2: Any, w3: Any) -> Any:
        return w0 if place == 0 else w1 if place == 1 else w2 if place == 2 else w3

    @stage
    def by_work(t: Any, seed: Any, realization: Any, flags: Any, row: Any, columns: Any, keys: Any, n_times: Any) -> None:
        padded = np.uint32(np.uint32(t.n_packets + 3) & ROWS)
        at_due = np.uint32(np.uint32(padded * THREE32) + np.uint32(2))
        m = np.int64(t.group[t.group.shape[0] - 1])
        n = t.n_packets // m
        w0, w1, w2, w3 = block_of(seed, realization, 0, MESSAGES)
        for w in range(n):
            if w & 3 == 0 and w > 0 and not traced:
                w0, w1, w2, w3 = block_of(seed, realization, w >> 2, MESSAGES)
            word = word_of(w & 3, w0, w1, w2, w3)
            first = ZERO32 if traced else first_table(t, flags, w, padded, at_due)
            done = ZERO32
            for j in range(m):
                p = w * m + j
                code = np.uint32(keys[p] >> HALF)
                done = np.uint32(done + np.uint32(code >> ONE32))
                before = np.uint32(done - ONE32)
                if traced:
                    column = np.uint64(columns[w] if shuffled else w)
                    time = np.uint32(t.arrival[(np.uint64(before) * t.n_rounds + row) * np.uint64(n) + column])
                else:
                    time = np.uint32(search(t, np.uint32(first + before), word) >> HALF)
                time = np.uint32(n_times) if np.uint32(code & ONE32) != ZERO32 else time
                keys[p] = np.uint32(np.uint32(time << HALF) | np.uint32(p))

    @stage
    def by_increments(t: Any, seed: Any, realization: Any, flags: Any, row: Any, columns: Any, keys: Any, n_times: Any) -> None:
        padded = np.uint32(np.uint32(t.n_packets + 3) & ROWS)
        at_due = np.uint32(np.uint32(padded * THREE32) + np.uint32(2))
        m = np.int64(t.group[t.group.shape[0] - 1])
        n = t.n_packets // m
        come = cuda.local.array(n_come, np.uint16)
        for w in range(n):
            come[w] = np.uint16(0)
        for p in range(t.n_packets):
            # One more where it is lost, so that it is told from one that has not come.
            never = np.uint32(np.uint32(n_times) + np.uint32(np.uint32(keys[p] >> HALF) & ONE32))
            keys[p] = np.uint32(np.uint32(never << HALF) | np.uint32(p))
        w0, w1, w2, w3 = block_of(seed, realization, 0, MESSAGES)
        for d in range(np.int64(n_times)):
            for w in range(n):
                at = d * n + w
                if at & 3 == 0 and at > 0:
                    w0, w1, w2, w3 = block_of(seed, realization, at >> 2, MESSAGES)
                table = np.uint32(first_table(t, flags, w, padded, at_due) + np.uint32(d))
                more = np.int64(search(t, table, word_of(at & 3, w0, w1, w2, w3)) >> HALF)
                old = np.int64(come[w])
                last = min(old + more, m)
                for j in range(old, last):
                    own = w * m + j
                    if np.uint32(keys[own] >> HALF) == np.uint32(n_times):
                        keys[own] = np.uint32(np.uint32(np.uint32(d) << HALF) | np.uint32(own))
                come[w] = np.uint16(last)

    return by_increments if erlang else by_work

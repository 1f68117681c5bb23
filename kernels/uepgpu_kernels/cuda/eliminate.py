"""Elimination by lanes of a warp together: the steps that make rows of sums, and that take a packet into the reduced rows.

Columns lie over lanes. Rows are reduced, so that all factors by which a packet takes rows are known at once: they are what it has
in the rows' pivot columns. Those columns are zero elsewhere and are not kept. Places 0, 1, … hold the others; when one becomes a
pivot's, the last place moves to its. Sums that count as decoded are rows without a pivot, before the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uepgpu_kernels.cuda.lane_field import lane_field
from uepgpu_kernels.cuda.layout import MISSING, TOGETHER, Layout, place_start
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import cuda, stage

__all__ = ["ALL", "Held", "from_lane", "start_maker", "take_maker"]

ALL = np.int32(-1)
"""All lanes of a warp take part in whatever they do together."""
ZERO, ONE = np.uint64(0), np.uint64(1)
ZERO32, ONE32 = np.uint32(0), np.uint32(1)
TOGETHER32, MISSING32 = np.uint32(TOGETHER), np.uint32(MISSING)
NONE = np.uint32(0xFFFFFFFF)


class Held(NamedTuple):
    """What a warp shares in a block's memory, each for as many realizations as it decodes at once."""

    rows: Any
    vector: Any  # (K,) a packet's coefficients by column
    fresh: Any  # (K,) what is left of it, by place
    low: Any  # (K + sums + 3,) factors of rows, 0 for those that are missing
    high: Any  # (K + sums + 3,) upper halves of factors; whether there is anything in a row
    place: Any  # (K,) column at a place; at K - 1 - r that of the pivot of row r
    when: Any  # (K,)
    log: Any
    power: Any


@stage
def from_lane(value: Any, lane: Any) -> Any:
    """Return the uint32 of another lane."""
    return np.uint32(cuda.shfl_sync(ALL, np.int32(value), np.int32(lane)))


def start_maker(shape: Shape, layout: Layout) -> Any:
    """Return the step ``(t, rows, at, me)`` that makes rows of the sums."""
    k, lanes, n_targets = shape.k, shape.lanes, shape.targets
    start = place_start(layout, k, n_targets)
    given, step = lane_field(shape.field).given, np.uint32(layout.step)

    @stage
    def start_rows(t: Any, rows: Any, at: Any, me: Any) -> None:
        if n_targets > 0:
            first = np.uint64(t.n_packets) * np.uint64(k)
            p = me
            while p < k:
                for s in range(n_targets):
                    x = np.uint32(t.generator[first + np.uint64(s) * np.uint64(k) + np.uint64(p)])
                    rows[at + np.uint32(start(p) + np.uint32(np.uint32(s) * step))] = given(x)
                p = np.uint32(p + np.uint32(lanes))

    return start_rows


def take_maker(shape: Shape, layout: Layout) -> Any:
    """Return the step that takes the packet in `vector`.

    ``(t, held, at, columns, factors, me, group, live, rank, time, n_times) -> rank``, for all lanes of a warp at once.
    """
    k, n_targets = shape.k, shape.targets
    lanes, last_place, targets = np.uint32(shape.lanes), np.uint32(shape.k - 1), np.uint32(shape.targets)
    group_mask = np.uint32((1 << shape.lanes) - 1)
    step, stride = np.uint32(layout.step), np.uint64(layout.step)  # of 64 bits: a compiler need not think of overflow
    start = place_start(layout, k, n_targets)
    zero, given, split, begin, add, end, minus, inverse, times, multiple, plus = lane_field(shape.field)

    @stage
    def reduce(held: Any, at: Any, columns: Any, factors: Any, p: Any, rank: Any) -> Any:
        """Return what is left of the packet at a place."""
        c, d = begin()
        entry = np.uint64(at + np.uint32(start(p) + np.uint32(targets * step)))
        f = np.uint64(factors)
        done = ZERO32
        while done < rank:
            for _ in range(TOGETHER):
                c, d = add(held.log, held.power, c, d, held.low[f], held.high[f], np.uint32(held.rows[entry]))
                f += ONE
                entry += stride
            done = np.uint32(done + TOGETHER32)
        return end(c, d, given(held.vector[np.uint32(columns + np.uint32(held.place[np.uint32(columns + p)]))]))

    @stage
    def clear(held: Any, at: Any, columns: Any, factors: Any, p: Any, source: Any, scale: Any, n_rows: Any) -> None:
        """Take the pivot's column out of the rows at a place, and write the pivot's own row there."""
        own = times(held.log, held.power, scale, held.fresh[np.uint32(columns + source)])
        v = multiple(held.log, own)
        # Before the loop, which may go beyond the last row of the others.
        held.rows[at + np.uint32(start(p) + np.uint32(n_rows * step))] = (
            own  # first: it may be the one after the last row of the others
        )
        entry = np.uint64(at + start(p))
        f = np.uint64(factors)
        done = ZERO32
        while done < n_rows:
            for _ in range(TOGETHER):
                x = plus(held.power, np.uint32(held.rows[entry]), held.low[f], v)
                held.rows[entry] = x
                if x != zero:
                    held.high[f] = ONE32
                f += ONE
                entry += stride
            done = np.uint32(done + TOGETHER32)
        if own != zero:
            held.high[np.uint32(factors + n_rows)] = ONE32

    @stage
    def note(t: Any, held: Any, columns: Any, row: Any, time: Any, n_times: Any) -> None:
        """Write the time of what a row without entries has decoded."""
        if row >= targets:
            column = np.uint32(held.place[np.uint32(columns + np.uint32(last_place - np.uint32(row - targets)))])
            if held.when[np.uint32(columns + column)] >= n_times:
                held.when[np.uint32(columns + column)] = time
        elif n_targets > 0:
            first = (np.uint64(t.n_packets) + np.uint64(row)) * np.uint64(k)
            for i in range(k):
                if t.generator[first + np.uint64(i)] != ZERO and held.when[np.uint32(columns + np.uint32(i))] >= n_times:
                    held.when[np.uint32(columns + np.uint32(i))] = time

    @stage
    def take(
        t: Any,
        held: Any,
        at: Any,
        columns: Any,
        factors: Any,
        me: Any,
        group: Any,
        live: Any,
        rank: Any,
        time: Any,
        n_times: Any,
    ) -> Any:
        if live:
            r = me
            while r < np.uint32(rank + MISSING32):
                x = zero
                if r < rank:
                    column = np.uint32(held.place[np.uint32(columns + np.uint32(last_place - r))])
                    x = given(held.vector[np.uint32(columns + column)])
                a, b = split(held.log, x)
                held.low[np.uint32(factors + r)] = a
                held.high[np.uint32(factors + r)] = b
                r = np.uint32(r + lanes)
        cuda.syncwarp(ALL)
        mine = NONE
        n_places = np.uint32(np.uint32(k) - rank)
        if live:
            p = me
            while p < n_places:
                x = reduce(held, at, columns, factors, p, rank)
                held.fresh[np.uint32(columns + p)] = x
                if x != zero:
                    mine = min(mine, p)
                p = np.uint32(p + lanes)
        found = np.uint32(cuda.ballot_sync(ALL, mine != NONE))
        bits = np.uint32(np.uint32(found >> np.uint32(group * lanes)) & group_mask)
        raises = bits != ZERO32
        leader = np.uint32(np.uint32(cuda.ffs(bits)) - ONE32) if raises else ZERO32
        pivot = from_lane(mine, np.uint32(np.uint32(group * lanes) + leader))
        cuda.syncwarp(ALL)  # the next packet's coefficients overwrite what other lanes read
        if found != ZERO32:
            n_rows = np.uint32(rank + targets)
            last = np.uint32(n_places - ONE32)
            if raises:
                entry, moved = at + start(pivot), at + start(last)
                r = me
                while r < np.uint32(n_rows + MISSING32):
                    x = zero
                    if r < n_rows:
                        x = np.uint32(held.rows[entry + np.uint32(r * step)])
                        held.rows[entry + np.uint32(r * step)] = held.rows[moved + np.uint32(r * step)]
                    held.low[np.uint32(factors + r)] = minus(held.log, x)
                    held.high[np.uint32(factors + r)] = ZERO32
                    r = np.uint32(r + lanes)
                if me == ZERO32:
                    column = held.place[np.uint32(columns + pivot)]
                    held.place[np.uint32(columns + pivot)] = held.place[np.uint32(columns + last)]
                    held.place[np.uint32(columns + last)] = column
                value = held.fresh[np.uint32(columns + pivot)]
            cuda.syncwarp(ALL)
            if raises:
                scale = inverse(held.log, held.power, value)
                p = me
                while p < last:
                    clear(held, at, columns, factors, p, last if p == pivot else p, scale, n_rows)
                    p = np.uint32(p + lanes)
            cuda.syncwarp(ALL)
            if raises:
                rank = np.uint32(rank + ONE32)
                r = me
                while r <= n_rows:
                    if held.high[np.uint32(factors + r)] == ZERO32:
                        note(t, held, columns, r, time, n_times)
                    r = np.uint32(r + lanes)
            cuda.syncwarp(ALL)
        return rank

    return take

"""The kernel of elimination for many sub-products: lanes of a warp decode one realization together.

Every lane first lists the packets of a realization of its own; then 8, 16 or 32 lanes take each of them in turn. Columns lie
over lanes. Rows are reduced, so that all factors by which a packet takes rows are known at once: they are what it has in the
rows' pivot columns. Those columns are zero elsewhere and are not kept. Places 0, 1, … hold the others; when one becomes a
pivot's, the last place moves to its. Sums that count as decoded are rows without a pivot, before the others.

A block is one warp, and nothing but its own lanes waits for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uepgpu_kernels.bodies.sample import draw_subset
from uepgpu_kernels.cuda.draw import block_of, list_maker
from uepgpu_kernels.cuda.lane_field import EXPONENTS, field_tables, lane_field
from uepgpu_kernels.cuda.product import wide_product
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.span import sub_batch_start
from uepgpu_kernels.cuda.stage import cuda, kernel, stage
from uepgpu_kernels.job import SUB_BATCHES
from uepgpu_kernels.streams import COEFFICIENTS

__all__ = ["CLASSES", "WARP", "Layout", "at_once", "layout_of", "scratch_of", "warped_kernel"]

WARP = 32
ALL = np.int32(-1)
"""All lanes of a warp take part in whatever they do together."""
SHIFT = np.uint64(32)
ZERO, ONE = np.uint64(0), np.uint64(1)
ZERO32, ONE32, THREE32, FOUR32 = np.uint32(0), np.uint32(1), np.uint32(3), np.uint32(4)
FIVE32, SIX32, LOW6 = np.uint32(5), np.uint32(6), np.uint32(63)
HALF, LOW16 = np.uint32(16), np.uint32(0xFFFF)
NONE = np.uint32(0xFFFFFFFF)
PRIME_LESS_1 = np.uint32(0x7FFFFFFE)
BATCHES = np.uint64(SUB_BATCHES)
BATCH_MASK = np.uint32(SUB_BATCHES - 1)
EACH = (1, 32, 4)
"""Coefficients of a word, by field."""
CLASSES = 8
TOGETHER = 4
"""Rows that a loop takes at a time."""
MISSING = TOGETHER - 1
MISSING32 = np.uint32(MISSING)


class Layout(NamedTuple):
    """Where the entries of one realization's rows lie: entry r of place p at ``start(p) + r·step``."""

    groups: int  # realizations that a warp decodes at once
    pitch: int  # distance between places whose entries lie in one line
    step: int  # distance between rows
    size: int  # of one realization

    def bytes(self, width: int) -> int:
        """Return the bytes of a block's rows, of elements so wide."""
        return self.groups * self.size * width


def layout_of(k: int, targets: int, lanes: int, near: bool) -> Layout:
    """Return the layout of K columns, and sums that are rows without a pivot.

    A place p has entries of rows until it is a pivot's or moves away, K - 1 - p at most, and one for each sum. Rows are taken four
    at a time, so there is room for the three that may be missing. In shared memory places p and K - 1 - p share a line; an odd
    pitch, and realizations that lie apart by as much as their lanes, let no two lanes meet in one bank. In global memory lanes lie
    side by side.
    """
    if not near:
        return Layout(WARP // lanes, 0, k, (targets + k + MISSING) * k)
    pitch = (k - 1 + 2 * (targets + MISSING)) | 1
    size = -(-k // 2) * pitch
    return Layout(WARP // lanes, pitch, 1, size + (lanes * pitch - size) % WARP)


def at_once(shape: Shape) -> int:
    """Return how many realizations a block decodes at once."""
    return WARP // shape.lanes


def scratch_of(shape: Shape, blocks: int) -> int:
    """Return how many entries of `record` so many blocks need for rows that do not lie in shared memory."""
    if shape.nest != "warped" or shape.near:
        return 0
    layout = layout_of(shape.k, shape.targets, shape.lanes, near=False)
    return blocks * layout.groups * layout.size


@stage
def from_lane(value: Any, lane: Any) -> Any:
    """Return the uint32 of another lane."""
    return np.uint32(cuda.shfl_sync(ALL, np.int32(value), np.int32(lane)))


class _Warp(NamedTuple):
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


def warped_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``.

    `record` has a layout's entries for each realization that the grid decodes at once, if rows do not lie in shared memory,
    after K times of each realization, if those are asked for. Blocks have 32 threads.
    """
    k, n, lanes, near, n_targets = shape.k, shape.n_packets, shape.lanes, shape.near, shape.targets
    layout = layout_of(k, n_targets, lanes, near)
    groups, size = layout.groups, layout.size
    n_rows = k + n_targets + MISSING
    n_columns, n_factors, n_times_of_classes = groups * k, groups * n_rows, groups * CLASSES
    element = np.uint32 if shape.field == 0 else np.uint8
    own_rows = groups * size if near else 1
    recorded = shape.kind == "times"
    bytewise = shape.field == 2
    n_logs, n_powers = (256, EXPONENTS) if bytewise else (1, 1)
    all_logs, all_powers = field_tables()
    zero = lane_field(shape.field).zero
    make_list = list_maker(shape)
    enter, take = _packet_maker(shape), _take_maker(shape, layout)
    start_of, tally = _start_maker(shape, layout), _tally_maker(shape)

    @stage
    def near_rows(own: Any, record: Any, group: Any, count: Any) -> Any:
        return own, np.uint32(group * np.uint32(size))

    @stage
    def far_rows(own: Any, record: Any, group: Any, count: Any) -> Any:
        number = np.uint64(np.uint32(cuda.blockIdx.x) * np.uint32(groups) + group)
        return record, number * np.uint64(size) + (count * np.uint64(k) if recorded else ZERO)

    rows_of = near_rows if near else far_rows

    @kernel
    def warped(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        own = cuda.shared.array(own_rows, element)
        vector = cuda.shared.array(n_columns, np.uint32)
        fresh = cuda.shared.array(n_columns, np.uint32)
        low = cuda.shared.array(n_factors, np.uint32)
        high = cuda.shared.array(n_factors, np.uint32)
        place = cuda.shared.array(n_columns, np.uint16)
        when = cuda.shared.array(n_columns, np.uint32)
        class_time = cuda.shared.array(n_times_of_classes, np.uint32)
        log = cuda.shared.array(n_logs, np.uint16)
        power = cuda.shared.array(n_powers, np.uint8)
        window = cuda.local.array(n, np.uint16)
        keys = cuda.local.array(n, np.uint32)
        lane = np.uint32(cuda.threadIdx.x)
        if bytewise:
            logs = cuda.const.array_like(all_logs)
            powers = cuda.const.array_like(all_powers)
            j = lane
            while j < n_powers:
                power[j] = powers[j]
                if j < n_logs:
                    log[j] = logs[j]
                j = np.uint32(j + np.uint32(WARP))
        group = np.uint32(lane // np.uint32(lanes))
        me = np.uint32(lane % np.uint32(lanes))
        columns = np.uint32(group * np.uint32(k))
        factors = np.uint32(group * np.uint32(n_rows))
        rows, at = rows_of(own, record, group, count)
        shared = (rows, vector, fresh, low, high, place, when, log, power)
        # Realizations of the block's sub-batch, shared out evenly where a warp's lanes are more than it has.
        offset = sub_batch_start(first)
        mine = (count - offset + BATCHES - ONE) // BATCHES if count > offset else ZERO
        row = np.uint64(np.uint32(cuda.blockIdx.x) >> FIVE32)
        n_warps = np.uint64(np.uint32(cuda.gridDim.x) >> FIVE32)
        batch = min(np.uint64(WARP), (mine + n_warps - ONE) // n_warps)
        counters = np.uint64(np.uint32(cuda.blockIdx.x) & BATCH_MASK) * np.uint64(n_bins)
        begin = row * batch
        while begin < mine:
            listed = first + offset + BATCHES * (begin + np.uint64(lane))
            arrived = np.uint32(make_list(t, seed, listed, n_times, window, keys))
            turn = ZERO32
            while np.uint64(turn) < batch:
                source = np.uint32(turn + group)
                number = begin + np.uint64(source)
                active = np.uint64(source) < batch and number < mine
                realization = first + offset + BATCHES * number
                cuda.syncwarp(ALL)
                j = me
                while j < k:
                    place[np.uint32(columns + j)] = np.uint16(j)
                    when[np.uint32(columns + j)] = n_times
                    j = np.uint32(j + np.uint32(lanes))
                start_of(t, rows, at, me)
                rank = ZERO32
                w = ZERO32
                n_arrived = from_lane(arrived, source)
                live = active and n_arrived > ZERO32
                while cuda.ballot_sync(ALL, live) != ZERO32:
                    key = keys[w]
                    code = np.uint32(window[key & LOW16])
                    key = from_lane(key, source)
                    code = from_lane(code, source)
                    if live:
                        enter(t, seed, realization, np.uint32(key & LOW16), code, vector, columns, me)
                    cuda.syncwarp(ALL)
                    rank = take(t, shared, at, columns, factors, me, group, live, rank, np.uint32(key >> HALF), n_times)
                    w = np.uint32(w + ONE32)
                    live = live and w < n_arrived and rank < np.uint32(k)
                cuda.syncwarp(ALL)
                if recorded:
                    if active:
                        j = me
                        while j < k:
                            to = (offset + BATCHES * number) * np.uint64(k) + np.uint64(j)
                            record[to] = min(when[np.uint32(columns + j)], n_times)
                            j = np.uint32(j + np.uint32(lanes))
                else:
                    tally(t, out, counters, n_times, when, columns, class_time, group, me, active)
                turn = np.uint32(turn + np.uint32(groups))
            begin += n_warps * batch

    return warped


def _place_start(layout: Layout, k: int, n_targets: int) -> Any:
    """Return the step ``(p) -> where the entries of place p begin`` among those of a realization."""
    halves = np.uint32(-(-k // 2))
    last, pitch = np.uint32(k - 1), np.uint32(layout.pitch)
    room = np.uint32(n_targets + MISSING)
    folded = layout.step == 1

    @stage
    def start(p: Any) -> Any:
        if folded:
            line = p if p < halves else np.uint32(last - p)
            return np.uint32(np.uint32(line * pitch) + (ZERO32 if p < halves else np.uint32(p + room)))
        return p

    return start


def _start_maker(shape: Shape, layout: Layout) -> Any:
    """Return the step ``(t, rows, at, me)`` that makes rows of the sums."""
    k, lanes, n_targets = shape.k, shape.lanes, shape.targets
    start = _place_start(layout, k, n_targets)
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


def _packet_maker(shape: Shape) -> Any:
    """Return the step ``(t, seed, realization, number, window, vector, columns, me)`` that writes a packet's coefficients."""
    k, field, lanes, drawn, given = shape.k, shape.field, shape.lanes, shape.drawn, shape.given
    each = EACH[field]
    in_block = 4 * each
    n_blocks = k // in_block if k % in_block == 0 else (k - 1) // in_block + 2
    words = np.uint32((k + 63) // 64)
    n_marks = k + 3 if drawn else 1
    coefficient = np.uint32(255 if field == 2 else 1)
    bits = np.uint32(8 if field == 2 else 1)

    @stage
    def put(t: Any, marks: Any, window: Any, vector: Any, columns: Any, first: Any, word: Any) -> None:
        j, rest = np.uint32(first), np.uint32(word)
        for _ in range(each):
            if j < np.uint32(k):  # before the packet's first it is beyond 2^31
                if drawn:
                    inside = marks[j] != ZERO32
                else:
                    mask = t.mask[np.uint32(np.uint32(window * words) + np.uint32(j >> SIX32))]
                    inside = (mask >> np.uint64(j & LOW6)) & ONE != ZERO
                x = np.uint32(rest & coefficient)
                if field == 0:
                    x = np.uint32(np.uint32(wide_product(rest, PRIME_LESS_1) >> SHIFT) + ONE32)
                vector[np.uint32(columns + j)] = x if inside else ZERO32
            j = np.uint32(j + ONE32)
            rest = np.uint32(rest >> bits)

    @stage
    def enter(t: Any, seed: Any, realization: Any, number: Any, window: Any, vector: Any, columns: Any, me: Any) -> None:
        if given:
            j = me
            while j < k:
                x = t.generator[np.uint64(number) * np.uint64(k) + np.uint64(j)]
                vector[np.uint32(columns + j)] = np.uint32(x)
                j = np.uint32(j + np.uint32(lanes))
        else:
            marks = cuda.local.array(n_marks, np.uint8)
            if drawn:
                draw_subset(marks, seed, realization, int(number), t.degree[window], k)
            first = np.uint32(number * np.uint32(k))
            block = np.uint32(np.uint32(first // np.uint32(in_block)) + me)
            end = np.uint32(np.uint32(block - me) + np.uint32(n_blocks))
            while block < end:
                w0, w1, w2, w3 = block_of(seed, realization, block, COEFFICIENTS)
                j = np.uint32(np.uint32(block * np.uint32(in_block)) - first)
                put(t, marks, window, vector, columns, j, w0)
                put(t, marks, window, vector, columns, np.uint32(j + np.uint32(each)), w1)
                put(t, marks, window, vector, columns, np.uint32(j + np.uint32(2 * each)), w2)
                put(t, marks, window, vector, columns, np.uint32(j + np.uint32(3 * each)), w3)
                block = np.uint32(block + np.uint32(lanes))

    return enter


def _take_maker(shape: Shape, layout: Layout) -> Any:
    """Return the step that takes the packet in `vector`.

    ``(t, shared, at, columns, factors, me, group, live, rank, time, n_times) -> rank``, for all lanes of a warp at once.
    """
    k, n_targets = shape.k, shape.targets
    lanes, last_place, targets = np.uint32(shape.lanes), np.uint32(shape.k - 1), np.uint32(shape.targets)
    group_mask = np.uint32((1 << shape.lanes) - 1)
    step, stride = np.uint32(layout.step), np.uint64(layout.step)  # of 64 bits: a compiler need not think of overflow
    start = _place_start(layout, k, n_targets)
    zero, given, split, begin, add, end, minus, inverse, times, multiple, plus = lane_field(shape.field)

    @stage
    def reduce(shared: Any, at: Any, columns: Any, factors: Any, p: Any, rank: Any) -> Any:
        """Return what is left of the packet at a place."""
        rows, vector, fresh, low, high, place, when, log, power = shared
        c, d = begin()
        entry = np.uint64(at + np.uint32(start(p) + np.uint32(targets * step)))
        f = np.uint64(factors)
        done = ZERO32
        while done < rank:
            for _ in range(TOGETHER):
                c, d = add(log, power, c, d, low[f], high[f], np.uint32(rows[entry]))
                f += ONE
                entry += stride
            done = np.uint32(done + FOUR32)
        return end(c, d, given(vector[np.uint32(columns + np.uint32(place[np.uint32(columns + p)]))]))

    @stage
    def clear(shared: Any, at: Any, columns: Any, factors: Any, p: Any, source: Any, scale: Any, n_rows: Any) -> None:
        """Take the pivot's column out of the rows at a place, and write the pivot's own row there."""
        rows, vector, fresh, low, high, place, when, log, power = shared
        own = times(log, power, scale, fresh[np.uint32(columns + source)])
        v = multiple(log, own)
        rows[at + np.uint32(start(p) + np.uint32(n_rows * step))] = own  # first: it may be the one after the last row of the others
        entry = np.uint64(at + start(p))
        f = np.uint64(factors)
        done = ZERO32
        while done < n_rows:
            for _ in range(TOGETHER):
                x = plus(power, np.uint32(rows[entry]), low[f], v)
                rows[entry] = x
                if x != zero:
                    high[f] = ONE32
                f += ONE
                entry += stride
            done = np.uint32(done + FOUR32)
        if own != zero:
            high[np.uint32(factors + n_rows)] = ONE32

    @stage
    def note(t: Any, shared: Any, columns: Any, row: Any, time: Any, n_times: Any) -> None:
        """Write the time of what a row without entries has decoded."""
        rows, vector, fresh, low, high, place, when, log, power = shared
        if row >= targets:
            column = np.uint32(place[np.uint32(columns + np.uint32(last_place - np.uint32(row - targets)))])
            if when[np.uint32(columns + column)] >= n_times:
                when[np.uint32(columns + column)] = time
        elif n_targets > 0:
            first = (np.uint64(t.n_packets) + np.uint64(row)) * np.uint64(k)
            for i in range(k):
                if t.generator[first + np.uint64(i)] != ZERO and when[np.uint32(columns + np.uint32(i))] >= n_times:
                    when[np.uint32(columns + np.uint32(i))] = time

    @stage
    def take(
        t: Any,
        shared: Any,
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
        rows, vector, fresh, low, high, place, when, log, power = shared
        if live:
            r = me
            while r < np.uint32(rank + MISSING32):
                x = zero
                if r < rank:
                    column = np.uint32(place[np.uint32(columns + np.uint32(last_place - r))])
                    x = given(vector[np.uint32(columns + column)])
                a, b = split(log, x)
                low[np.uint32(factors + r)] = a
                high[np.uint32(factors + r)] = b
                r = np.uint32(r + lanes)
        cuda.syncwarp(ALL)
        mine = NONE
        n_places = np.uint32(np.uint32(k) - rank)
        if live:
            p = me
            while p < n_places:
                x = reduce(shared, at, columns, factors, p, rank)
                fresh[np.uint32(columns + p)] = x
                if x != zero:
                    mine = min(mine, p)
                p = np.uint32(p + lanes)
        found = np.uint32(cuda.ballot_sync(ALL, mine != NONE))
        bits = np.uint32(np.uint32(found >> np.uint32(group * lanes)) & group_mask)
        raises = bits != ZERO32
        leader = np.uint32(np.uint32(cuda.ffs(bits)) - ONE32) if raises else ZERO32
        pivot = from_lane(mine, np.uint32(np.uint32(group * lanes) + leader))
        if found != ZERO32:
            cuda.syncwarp(ALL)
            n_rows = np.uint32(rank + targets)
            last = np.uint32(n_places - ONE32)
            if raises:
                entry, moved = at + start(pivot), at + start(last)
                r = me
                while r < np.uint32(n_rows + MISSING32):
                    x = zero
                    if r < n_rows:
                        x = np.uint32(rows[entry + np.uint32(r * step)])
                        rows[entry + np.uint32(r * step)] = rows[moved + np.uint32(r * step)]
                    low[np.uint32(factors + r)] = minus(log, x)
                    high[np.uint32(factors + r)] = ZERO32
                    r = np.uint32(r + lanes)
                if me == ZERO32:
                    column = place[np.uint32(columns + pivot)]
                    place[np.uint32(columns + pivot)] = place[np.uint32(columns + last)]
                    place[np.uint32(columns + last)] = column
                value = fresh[np.uint32(columns + pivot)]
            cuda.syncwarp(ALL)
            if raises:
                scale = inverse(log, power, value)
                p = me
                while p < last:
                    clear(shared, at, columns, factors, p, last if p == pivot else p, scale, n_rows)
                    p = np.uint32(p + lanes)
            cuda.syncwarp(ALL)
            if raises:
                rank = np.uint32(rank + ONE32)
                r = me
                while r <= n_rows:
                    if high[np.uint32(factors + r)] == ZERO32:
                        note(t, shared, columns, r, time, n_times)
                    r = np.uint32(r + lanes)
            cuda.syncwarp(ALL)
        return rank

    return take


def _tally_maker(shape: Shape) -> Any:
    """Return the step ``(t, out, counters, n_times, when, columns, class_time, group, me, active)``."""
    k, n_classes = shape.k, shape.n_classes
    lanes = np.uint32(shape.lanes)
    transitions = n_classes << n_classes
    width = k * (k + 1) // 2
    pairs, marginals = shape.kind == "pairs", shape.kind == "marginals"

    @stage
    def tally(
        t: Any, out: Any, counters: Any, n_times: Any, when: Any, columns: Any, class_time: Any, group: Any, me: Any, active: Any
    ) -> None:
        classes = np.uint32(group * np.uint32(CLASSES))
        if me < np.uint32(CLASSES):
            class_time[np.uint32(classes + me)] = ZERO32
        cuda.syncwarp(ALL)
        j = me
        while j < k:
            cuda.atomic.max(class_time, np.uint32(classes + np.uint32(t.class_of[j])), when[np.uint32(columns + j)])
            j = np.uint32(j + lanes)
        cuda.syncwarp(ALL)
        if active:
            if me < np.uint32(n_classes):
                time = class_time[np.uint32(classes + me)]
                key = np.uint32(np.uint32(time << THREE32) | me)
                before = ZERO32
                for d in range(n_classes):
                    other = np.uint32(np.uint32(class_time[np.uint32(classes + np.uint32(d))] << THREE32) | np.uint32(d))
                    before = np.uint32(before | (np.uint32(1 << d) if other < key else ZERO32))
                at = np.uint32(np.uint32(np.uint32(time << np.uint32(n_classes)) + before) * np.uint32(n_classes)) + me
                cuda.atomic.add(out, counters + np.uint64(at), ONE)
            after = counters + np.uint64(np.uint32(np.uint32(n_times + ONE32) * np.uint32(transitions)))
            if pairs:
                for i in range(k):
                    own = when[np.uint32(columns + np.uint32(i))]
                    j = me
                    while j <= np.uint32(i):
                        time = min(own, when[np.uint32(columns + j)])
                        pair = np.uint32(np.uint32(i * (i + 1) // 2) + j)
                        cuda.atomic.add(out, after + np.uint64(np.uint32(np.uint32(time * np.uint32(width)) + pair)), ONE)
                        j = np.uint32(j + lanes)
            if marginals:
                j = me
                while j < k:
                    time = when[np.uint32(columns + j)]
                    cuda.atomic.add(out, after + np.uint64(np.uint32(np.uint32(time * np.uint32(k)) + j)), ONE)
                    j = np.uint32(j + lanes)

    return tally

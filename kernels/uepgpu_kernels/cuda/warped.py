"""The kernel of elimination for many sub-products: lanes of a warp decode one realization together.

Every lane first lists the packets of a realization of its own; then 8, 16 or 32 lanes take each of them in turn. A block is one
warp, and nothing but its own lanes waits for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda.coefficients import packet_maker
from uepgpu_kernels.cuda.draw import list_maker
from uepgpu_kernels.cuda.eliminate import ALL, Held, from_lane, start_maker, take_maker
from uepgpu_kernels.cuda.lane_field import EXPONENTS, field_tables
from uepgpu_kernels.cuda.layout import MISSING, WARP, layout_of
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.span import sub_batch_start
from uepgpu_kernels.cuda.stage import cuda, kernel, stage
from uepgpu_kernels.cuda.tally import CLASSES, shared_tally
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["warped_kernel"]

ZERO, ONE = np.uint64(0), np.uint64(1)
ZERO32, ONE32, FIVE32 = np.uint32(0), np.uint32(1), np.uint32(5)
HALF, LOW16 = np.uint32(16), np.uint32(0xFFFF)
BATCHES = np.uint64(SUB_BATCHES)
BATCH_MASK = np.uint32(SUB_BATCHES - 1)


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
    make_list = list_maker(shape)
    enter, take = packet_maker(shape), take_maker(shape, layout)
    start_of, tally = start_maker(shape, layout), shared_tally(shape)

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
        held = Held(rows, vector, fresh, low, high, place, when, log, power)
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
                    rank = take(t, held, at, columns, factors, me, group, live, rank, np.uint32(key >> HALF), n_times)
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

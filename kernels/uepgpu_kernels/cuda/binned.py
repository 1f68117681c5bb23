"""The kernel of the deadline domain for few packets, windows and deadlines: packets are counted by time and window, not sorted.

The order of packets of one time cannot matter, and with generic coefficients what is decoded depends on nothing but how many
packets of each window have come. A thread keeps these numbers for every time in shared memory, 5 bits a window, and adds them up
over the times. A class is decoded where that sum has reached the bound that a table has for it, by the lower two windows; the
first such time is found by halving.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda.bounds import BOUNDS, MOST_BINNED, TIME_SHIFT
from uepgpu_kernels.cuda.draw import block_of, flags_of, look_up_maker, rack_maker
from uepgpu_kernels.cuda.shape import BUCKET_BITS, Shape
from uepgpu_kernels.cuda.span import clear, fill, flush, sub_batch_start, thread_start, thread_step
from uepgpu_kernels.cuda.stage import cuda, kernel, stage
from uepgpu_kernels.cuda.tally import packed_tally
from uepgpu_kernels.streams import PACKETS

__all__ = ["binned_kernel"]

THREADS = 128
"""A block has as many at most."""

ZERO = np.uint64(0)
ZERO32, ONE32, TWO32, THREE32, FOUR32 = (np.uint32(i) for i in range(5))
HALF = np.uint32(16)
ADDED, LOWER = np.uint32((1 << TIME_SHIFT) - 1), np.uint32(BOUNDS - 1)
WIDTH = np.uint64(7)
TO_TIME = np.uint32(16 + TIME_SHIFT)
HALVINGS = (16, 8, 4, 2, 1)


def binned_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``. Blocks have 128 threads at most."""
    bins, n_classes, grouped = max(shape.bins, 1), shape.n_classes, shape.grouped
    far = grouped or shape.fine  # buckets stay in global memory
    bucket_size = 1 if far else 1 << BUCKET_BITS
    n_bounds, n_sums = n_classes * BOUNDS, (MOST_BINNED + 1) * THREADS
    n_sums_of_one = MOST_BINNED + 1
    n_flags = flags_of(shape)
    look_up, tally = look_up_maker(shape), packed_tally(shape)
    draw_racks, table_of = rack_maker(shape)

    @stage
    def add_packet(t: Any, sums: Any, me: Any, bucket: Any, flags: Any, w: Any, drawn: Any) -> None:
        found = look_up(t, bucket, table_of(t, flags, w) if grouped else ZERO32, drawn)
        at = np.uint32(np.uint32(np.uint32(found >> TO_TIME) << np.uint32(WIDTH)) + me)
        sums[at] = np.uint32(sums[at] + np.uint32(np.uint32(found >> HALF) & ADDED))

    @stage
    def count_packets(t: Any, sums: Any, me: Any, bucket: Any, seed: Any, realization: Any) -> None:
        flags = cuda.local.array(n_flags, np.uint32)
        draw_racks(t, seed, realization, flags)
        for i in range(n_sums_of_one):
            sums[np.uint32(np.uint32(i * THREADS) + me)] = ZERO32
        head = ZERO32
        left = np.int32(t.n_packets)
        while left > 0:
            w0, w1, w2, w3 = block_of(seed, realization, head >> TWO32, PACKETS)
            add_packet(t, sums, me, bucket, flags, head, w0)
            if left > 1:
                add_packet(t, sums, me, bucket, flags, np.uint32(head + ONE32), w1)
            if left > 2:
                add_packet(t, sums, me, bucket, flags, np.uint32(head + TWO32), w2)
            if left > 3:
                add_packet(t, sums, me, bucket, flags, np.uint32(head + THREE32), w3)
            head = np.uint32(head + FOUR32)
            left = np.int32(left - 4)

    @stage
    def class_times(sums: Any, me: Any, bounds: Any) -> Any:
        total = ZERO32
        for i in range(MOST_BINNED):
            at = np.uint32(np.uint32(i * THREADS) + me)
            total = np.uint32(total + sums[at])
            sums[at] = total
        times = ZERO32
        for c in range(n_classes):
            found = np.uint64(me)  # of 64 bits: what is added to it then costs nothing
            for half in HALVINGS:
                total = sums[found + np.uint64((half - 1) * THREADS)]
                bound = np.uint32(bounds[np.uint64(total & LOWER) + np.uint64(c * BOUNDS)])
                found += np.uint64(half * THREADS) if total < bound else ZERO
            times = np.uint32(times | np.uint32(np.uint32(found >> WIDTH) << np.uint32(8 * c)))
        return times

    @kernel
    def binned(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        hist = cuda.shared.array(bins, np.uint32)
        bounds = cuda.shared.array(n_bounds, np.uint16)
        sums = cuda.shared.array(n_sums, np.uint32)
        bucket = cuda.shared.array(bucket_size, np.uint64)
        fill(bounds, t.steps)
        if not far:
            fill(bucket, t.bucket)
        clear(hist, n_bins)
        buckets = t.bucket if far else bucket
        me = np.uint32(cuda.threadIdx.x)
        i = thread_start(sub_batch_start(first))
        stride = thread_step()
        while i < count:
            count_packets(t, sums, me, buckets, seed, first + i)
            tally(hist, ZERO32, ONE32, class_times(sums, me, bounds), n_times)
            i += stride
        flush(hist, n_bins, out)

    return binned

"""What the nests share that decode packets in an order of arrival of their own: the order, words by packet, times."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32
from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.cpu.draw import draw_cells, permute, sort_columns
from uepgpu_kernels.job import BY_PERMUTATION, BY_TIME
from uepgpu_kernels.streams import COEFFICIENTS

__all__ = ["draw_by_packet", "draw_own", "times_of_lane"]

PACKET_BITS = 16


@stage
def draw_by_packet(
    job: Any, first: Any, stride: Any, cells: Any, words: Any, window: Any, keys: Any, packet: Any, time: Any
) -> None:
    """Fill `packet` and `time` in order of arrival, and `window` by packet. `keys` is uint32 scratch."""
    n, lanes = job.n_packets, keys.shape[1]
    draw_cells(job, first, stride, words, cells, keys)
    by_time = job.order == BY_TIME
    for w in range(n):
        for lane in range(lanes):
            window[w, lane] = keys[w, lane] & cells.low if by_time else keys[w, lane]
        for lane in range(lanes):
            keys[w, lane] = ((keys[w, lane] >> cells.shift) << PACKET_BITS) | w if by_time else w
    if by_time:
        sort_columns(keys, cells.network)
    if job.order == BY_PERMUTATION:
        permute(job, first, stride, words, keys, packet)
    else:
        for w in range(n):
            for lane in range(lanes):
                packet[w, lane] = keys[w, lane]
    for w in range(n):
        for lane in range(lanes):
            time[w, lane] = keys[w, lane] >> PACKET_BITS if by_time else w + 1


@stage
def draw_own(job: Any, first: Any, stride: Any, number: Any, per_block: Any, chunk: Any) -> None:
    """Write the words of coefficients of packet `number[lane]`, from the block on that holds the first of them.

    A block holds `per_block` coefficients. `chunk` (m, lanes) takes as many blocks as it has room for.
    """
    k0 = job.seed & MASK
    k1 = job.seed >> SHIFT
    for b in range(chunk.shape[0] // 4):
        for lane in range(chunk.shape[1]):
            realization = first + stride * np.uint64(lane)
            block = np.uint64(np.intp(number[lane]) * job.k // per_block + b)
            w0, w1, w2, w3 = philox4x32(realization & MASK, realization >> SHIFT, block, COEFFICIENTS, k0, k1)
            chunk[4 * b, lane] = w0
            chunk[4 * b + 1, lane] = w1
            chunk[4 * b + 2, lane] = w2
            chunk[4 * b + 3, lane] = w3


@stage
def times_of_lane(taken: Any, lane: Any, n_packets: Any, time: Any, by_time: Any, n_times: Any, when: Any) -> None:
    """Write when each sub-product of one lane is decoded, from the number of packets that takes; beyond W is never."""
    for i in range(when.shape[0]):
        n = np.intp(taken[i, lane])
        if n > n_packets:
            when[i] = n_times
        else:
            when[i] = np.int64(time[n - 1, lane]) if by_time else n

"""What the nests share that decode packets in an order of arrival of their own: words by packet, and times."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32
from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.streams import COEFFICIENTS

__all__ = ["FEW_LANES", "MOST_PACKETS", "draw_own", "times_of_lane"]

FEW_LANES = 64
MOST_PACKETS = 1024
"""Beyond so many packets, tiles have few lanes, so that they stay small."""


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

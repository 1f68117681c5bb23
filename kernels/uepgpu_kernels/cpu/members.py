"""Supports of the lanes' packets as bytes: bit i of byte r says whether X_(8 r + i) is in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.bodies.sample import draw_subset
from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.job import Job

__all__ = ["member_bytes", "member_table"]

FEW = 8
"""Up to so many windows, comparing with all of them beats looking bytes up."""


def member_table(job: Job) -> NDArray[np.uint8]:
    """Return the bytes of every window (S + 1, ⌈K/8⌉), the last of which is empty; where supports are drawn all are."""
    table = np.zeros((max(job.support.shape[0], job.degree.size) + 1, (job.k + 7) // 8), dtype=np.uint8)
    table[: job.support.shape[0]] = np.packbits(job.support, axis=1, bitorder="little")
    return table


@stage
def member_bytes(job: Any, first: Any, stride: Any, number: Any, window: Any, members: Any, marks: Any, out: Any) -> None:
    """Write the bytes (⌈K/8⌉, lanes) of packet `number[lane]`, of window `window[lane]`; `marks` (K + 3,) uint64 is scratch."""
    width, lanes = out.shape
    if job.degree.shape[0] > 0:
        drawn_bytes(job, first, stride, number, window, marks, out)
        return
    n = members.shape[0] - 1
    for r in range(width):
        row = out[r]
        if n <= FEW:
            row[:] = 0
            for s in range(n):
                value = members[s, r]
                label = np.uint16(s)
                if value != 0:
                    for lane in range(lanes):
                        row[lane] |= value if window[lane] == label else np.uint8(0)
        else:
            for lane in range(lanes):
                row[lane] = members[window[lane], r]


@stage
def drawn_bytes(job: Any, first: Any, stride: Any, number: Any, window: Any, marks: Any, out: Any) -> None:
    """Write the bytes of drawn supports; a window beyond the last degree is empty."""
    out[:] = 0
    for lane in range(out.shape[1]):
        s = np.intp(window[lane])
        if s < job.degree.shape[0]:
            draw_subset(marks, job.seed, first + stride * np.uint64(lane), np.intp(number[lane]), job.degree[s], job.k)
            for i in range(job.k):
                out[i >> 3, lane] |= np.uint8(marks[i] << np.uint64(i & 7))

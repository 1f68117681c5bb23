"""The kernel that sums products of numbers of rounds over trajectories, from the times of classes in every round.

A thread has a deadline, and takes one trajectory of its block's sub-batch after the other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from uepgpu_kernels.cuda.cubin import Capability, Kept, function_cubin
from uepgpu_kernels.cuda.span import BATCHES, sub_batch_start
from uepgpu_kernels.cuda.stage import cuda
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["SQUARES_TYPES", "n_products", "squares_cubin", "squares_kernel"]

BATCH_BITS, BATCH_MASK = np.uint32(5), np.uint32(SUB_BATCHES - 1)
ZERO64, ONE64 = np.uint64(0), np.uint64(1)
typeof: Any = numba.typeof
SQUARES_TYPES = (
    *(typeof(np.uint64(0)), typeof(np.uint64(0)), typeof(np.uint32(0)), typeof(np.uint64(0)), typeof(np.uint64(0))),
    *(typeof(np.zeros(1, dtype=np.uint32)), typeof(np.zeros(1, dtype=np.uint64))),
)


def n_products(n_classes: int) -> int:
    """Return the number of products of two pairs of classes.

    Examples
    --------
    >>> n_products(3)  # of 6 pairs
    21
    """
    n_events = n_classes * (n_classes + 1) // 2
    return n_events * (n_events + 1) // 2


@functools.cache
def squares_kernel(n_classes: int) -> Callable[..., None]:
    """Return the kernel ``(first, count, n_times, n_rounds, n_most, record, out)`` for arguments of `SQUARES_TYPES`.

    `record` has times by round, class, sub-batch and place within it, `n_most` of them; `out` products by sub-batch and time, in
    the order of :class:`uepgpu_kernels.job.RawTrajectories`.
    """
    n_events, width = n_classes * (n_classes + 1) // 2, n_products(n_classes)
    classes, products = np.uint64(n_classes), np.uint64(width)

    def squares(first: Any, count: Any, n_times: Any, n_rounds: Any, n_most: Any, record: Any, out: Any) -> None:
        total = cuda.local.array(width, np.uint64)
        number = cuda.local.array(n_events, np.uint64)
        batch = np.uint64(np.uint32(cuda.blockIdx.x) & BATCH_MASK)
        step = np.uint64(np.uint32(cuda.gridDim.x) >> BATCH_BITS)
        offset = sub_batch_start(first)
        t = np.uint32(cuda.threadIdx.x)
        while t < n_times:
            for p in range(width):
                total[p] = ZERO64
            j = np.uint64(np.uint32(cuda.blockIdx.x) >> BATCH_BITS)
            while offset + BATCHES * j < count:
                for e in range(n_events):
                    number[e] = ZERO64
                row = batch * n_most + j  # of class 0 in round 0
                r = ZERO64
                while r < n_rounds:
                    e = 0
                    for c in range(n_classes):
                        late = record[row + np.uint64(c) * BATCHES * n_most]
                        for d in range(c + 1):
                            other = record[row + np.uint64(d) * BATCHES * n_most]
                            if min(late, other) > t:
                                number[e] += ONE64
                            e += 1
                    row += classes * BATCHES * n_most
                    r += ONE64
                p = 0
                for e in range(n_events):
                    for f in range(e + 1):
                        total[p] += number[e] * number[f]
                        p += 1
                j += step
            for p in range(width):
                cuda.atomic.add(out, (batch * np.uint64(n_times) + np.uint64(t)) * products + np.uint64(p), total[p])
            t = np.uint32(t + np.uint32(cuda.blockDim.x))

    squares.__name__ = f"squares_of_{n_classes}"  # machine code is kept under the name
    return squares


def squares_cubin(n_classes: int, capability: Capability) -> Kept:
    """Return the machine code of the kernel."""
    return function_cubin(squares_kernel(n_classes), SQUARES_TYPES, capability)

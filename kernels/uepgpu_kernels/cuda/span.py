"""Which realizations a thread has, and the block's tally: the beginning and end of every kernel.

A block serves one sub-batch (realization number mod 32), so that it holds one histogram. Within it a thread takes
realizations in grid-size strides. The grid is a multiple of 32 blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda.stage import cuda, stage
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["BATCHES", "clear", "fill", "flush", "sub_batch_start", "thread_start", "thread_step"]

BATCHES = np.uint64(SUB_BATCHES)
BATCH_MASK = np.uint64(SUB_BATCHES - 1)
BATCH_BITS = np.uint32(5)
BATCH_MASK32 = np.uint32(SUB_BATCHES - 1)
ZERO32 = np.uint32(0)


@stage
def sub_batch_start(first: Any) -> Any:
    """Return how far the first realization of the block's sub-batch lies beyond `first`, as uint64."""
    mine = np.uint64(np.uint32(cuda.blockIdx.x) & BATCH_MASK32)
    return (mine + BATCHES - (first & BATCH_MASK)) & BATCH_MASK


@stage
def thread_start(offset: Any) -> Any:
    """Return how far the thread's first realization lies beyond the launch's, as uint64."""
    row = np.uint64(np.uint32(cuda.blockIdx.x) >> BATCH_BITS)
    return offset + BATCHES * (row * np.uint64(cuda.blockDim.x) + np.uint64(cuda.threadIdx.x))


@stage
def thread_step() -> Any:
    """Return the distance between realizations of a thread, as uint64."""
    return BATCHES * (np.uint64(np.uint32(cuda.gridDim.x) >> BATCH_BITS) * np.uint64(cuda.blockDim.x))


@stage
def clear(hist: Any, n: Any) -> None:
    """Zero n counters of the block, and wait for that."""
    i = np.uint32(cuda.threadIdx.x)
    while i < n:
        hist[i] = ZERO32
        i = np.uint32(i + np.uint32(cuda.blockDim.x))
    cuda.syncthreads()


@stage
def fill(shared: Any, source: Any) -> None:
    """Copy a table into the block's shared memory; readers must wait for it first."""
    i = np.uint32(cuda.threadIdx.x)
    while i < np.uint32(source.shape[0]):
        shared[i] = source[i]
        i = np.uint32(i + np.uint32(cuda.blockDim.x))


@stage
def flush(hist: Any, n: Any, out: Any) -> None:
    """Wait until all of the block have counted, then add its n counters to its sub-batch's row of `out`."""
    cuda.syncthreads()
    row = np.uint64(np.uint32(cuda.blockIdx.x) & BATCH_MASK32) * np.uint64(n)
    i = np.uint32(cuda.threadIdx.x)
    while i < n:
        if hist[i] != ZERO32:
            cuda.atomic.add(out, row + np.uint64(i), np.uint64(hist[i]))
        i = np.uint32(i + np.uint32(cuda.blockDim.x))

"""The general kernel: packets are listed in order of arrival, then decoded from the list."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda.draw import list_maker
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.span import clear, flush, sub_batch_start, thread_start, thread_step
from uepgpu_kernels.cuda.stage import cuda, kernel
from uepgpu_kernels.cuda.tally import subproduct_tally
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["listed_kernel"]

BATCH_MASK = np.uint32(SUB_BATCHES - 1)
ZERO = np.uint64(0)
ONE = np.uint64(1)
ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)


def listed_kernel(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)``."""
    n, k, bins = shape.n_packets, shape.k, shape.bins
    recorded = shape.kind == "times"
    size = max(bins, 1)
    make_list, decode, tally = list_maker(shape), shape.decoder(shape), subproduct_tally(shape)

    @kernel
    def listed(seed: Any, first: Any, count: Any, n_times: Any, n_bins: Any, t: Any, out: Any, record: Any) -> None:
        hist = cuda.shared.array(size, np.uint32)
        window = cuda.local.array(n, np.uint16)
        keys = cuda.local.array(n, np.uint32)
        when = cuda.local.array(k, np.uint32)
        offset = sub_batch_start(first)
        if bins > 0:
            clear(hist, n_bins)
        row = np.uint64(np.uint32(cuda.blockIdx.x) & BATCH_MASK) * np.uint64(n_bins)
        i = thread_start(offset)
        step = thread_step()
        while i < count:
            for j in range(k):
                when[j] = n_times
            arrived = make_list(t, seed, first + i, n_times, window, keys)
            decode(t, seed, first + i, window, keys, arrived, when)
            if recorded:
                for j in range(k):
                    record[i * np.uint64(k) + np.uint64(j)] = min(when[j], n_times)
            elif bins > 0:
                tally(t, hist, ZERO32, ONE32, n_times, when)
            else:
                tally(t, out, row, ONE, n_times, when)
            i += step
        if bins > 0:
            flush(hist, n_bins, out)

    return listed

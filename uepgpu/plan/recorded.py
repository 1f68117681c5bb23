"""Arrivals of a trace: which work a packet is charged, and when that is done in every round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import require_memory
from uepgpu.codes.supports import SupportLaw
from uepgpu.latency import Trace
from uepgpu.plan.cells import Cells, pack
from uepgpu.workers import Workers
from uepgpu_kernels.job import AT_RANDOM, IN_BLOCKS, IN_ORDER

__all__ = ["REPLAYS", "arrival_times", "trace_cells"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REPLAYS = {"order": IN_ORDER, "random": AT_RANDOM, "blocks": IN_BLOCKS}


def trace_cells(law: SupportLaw, rank: Ints, workers: Workers) -> tuple[Cells, Floats]:
    """Return cells (window, number of its work), the last one for packets that are lost, and the different works, ascending."""
    works, number = np.unique(workers.charge(law.work), return_inverse=True)
    kinds, group = np.unique(np.full(workers.count, -1) if law.window is None else law.window, return_inverse=True)
    cumulative, windows, numbers = [], [], []
    for s in kinds.tolist():
        chosen = np.arange(rank.size) if s < 0 else np.array([s])
        weight = np.ones(1) if law.probabilities is None else law.probabilities
        total = np.cumsum(weight * (1.0 - workers.loss_probability))
        if workers.loss_probability == 0:  # none is lost, whatever the rounding of the sum
            total[int(np.flatnonzero(weight)[-1]) :] = 1.0
        cumulative.append(np.append(total, 1.0))
        windows.append(np.append(rank[chosen], 0))
        numbers.append(np.append(number[chosen], works.size))
    return pack(cumulative, windows, numbers, group.astype(np.int64)), works


def arrival_times(trace: Trace, n_works: int, limit: Callable[[int], Floats]) -> NDArray[np.uint16]:
    """Return the index of the first time by which each of V works is done, D for never, shape (V, R, W).

    ``limit(v)`` (D, W) is how long a unit of work may take for work v to be done by each time. Two bytes for every work, round and
    worker are all that is held, besides a few MB at a time.
    """
    shape = (n_works, trace.n_rounds, trace.n_workers)
    require_memory(f"a trace of {trace.n_rounds:,} rounds of {trace.n_workers:,} workers", 2 * int(np.prod(shape)))
    found = np.empty(shape, dtype=np.uint16)
    for v in range(n_works):
        trace.bins(limit(v), found[v])
    return found

"""Cells: what one 32-bit word decides about a packet, its window and, with deadlines, when it arrives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uepgpu.codes.supports import SupportLaw
from uepgpu.workers import Workers

__all__ = ["Cells", "count_cells", "deadline_cells", "pack"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Cells = tuple[NDArray[np.uint32], Ints, NDArray[np.uint16], NDArray[np.uint16], Ints]
"""Thresholds, their numbers, windows and times of the cells by group of workers, and the group of every worker."""


def count_cells(law: SupportLaw, rank: Ints, n: int) -> Cells:
    """Cells are windows."""
    if law.window is None:
        assert law.probabilities is not None
        total = np.cumsum(law.probabilities)
        # The sum up to the last window that can be drawn is 1, whatever its rounding; windows after it have probability 0.
        total[int(np.flatnonzero(law.probabilities)[-1]) :] = 1.0
        cumulative = [total]
        return pack(cumulative, [rank], [np.zeros(rank.size, dtype=np.int64)], np.zeros(n, dtype=np.int64))
    used, group = np.unique(law.window, return_inverse=True)
    one = np.ones(1)
    at_once = [np.zeros(1, dtype=np.int64)] * used.size
    return pack([one] * used.size, [rank[s : s + 1] for s in used], at_once, group.astype(np.int64))


def deadline_cells(law: SupportLaw, rank: Ints, workers: Workers, times: Floats) -> Cells:
    """Cells are (time, window) in order of time; the last one, never, stands for all that arrive after the last deadline.

    Where racks can be struck, a second half of the tables is for packets in a rack that is; groups are of the first half.
    """
    workers_of, kind = workers.kinds()
    window = np.full(workers.count, -1) if law.window is None else law.window
    kinds, group = np.unique(np.stack([window, kind]), axis=1, return_inverse=True)
    cumulative, windows, arrivals = [], [], []
    for struck in (False,) if workers.independent else (False, True):
        for s, v in kinds.T:
            chosen = np.arange(rank.size) if s < 0 else np.array([s])
            assert s >= 0 or law.probabilities is not None
            weight = np.ones(1) if law.probabilities is None else law.probabilities
            share = workers.arrival(times[:, None], law.n_subproducts, law.work[chosen], *workers_of[v], struck=struck)
            arrived = weight * share  # (D, windows)
            if struck and not np.any(arrived):  # dark: one cell, never
                cumulative.append(np.ones(1))
                windows.append(np.zeros(1, dtype=np.int64))
                arrivals.append(np.full(1, times.size))
                continue
            before = np.vstack([np.zeros(chosen.size), arrived[:-1]])
            # Up to window s at time d: windows <= s have F(t_d), later ones F(t_(d-1)). No sum of differences, so no drift.
            total = np.cumsum(arrived, axis=1) + (before.sum(axis=1, keepdims=True) - np.cumsum(before, axis=1))
            # Where everything has arrived, the cell "never" gets nothing, whatever the rounding of the sum.
            total[np.all((share == 1) | (weight == 0), axis=1), int(np.flatnonzero(weight)[-1]) :] = 1.0
            cumulative.append(np.append(np.maximum.accumulate(total.ravel()), 1.0))
            windows.append(np.append(np.tile(rank[chosen], times.size), 0))
            arrivals.append(np.append(np.repeat(np.arange(times.size), chosen.size), times.size))
    return pack(cumulative, windows, arrivals, group.ravel().astype(np.int64))


def pack(cumulative: list[Floats], windows: list[Ints], arrivals: list[Ints], group: Ints) -> Cells:
    """Turn cumulative probabilities into 32-bit thresholds, floor(p 2^32); cells beyond 2^32 cannot be reached."""
    edges = [np.floor(np.minimum(c[:-1], 1.0) * 2.0**32) for c in cumulative]
    n_threshold = np.array([int(np.count_nonzero(e < 2.0**32)) for e in edges], dtype=np.int64)
    width = int(n_threshold.max())
    threshold = np.full((len(edges), width + 1), 2**32 - 1, dtype=np.uint32)
    cell_window = np.zeros((len(edges), width + 1), dtype=np.uint16)
    cell_time = np.zeros((len(edges), width + 1), dtype=np.uint16)
    for g, (edge, count) in enumerate(zip(edges, n_threshold, strict=True)):
        threshold[g, :count] = edge[:count]
        cell_window[g, : count + 1] = windows[g][: count + 1]
        cell_time[g, : count + 1] = arrivals[g][: count + 1]
    return threshold, n_threshold, cell_window, cell_time, group

"""Numbers of packets from which classes are decoded, whatever the order: what :mod:`uepgpu_kernels.cuda.binned` looks up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOUNDS", "COUNT_BITS", "MOST_BINNED", "MOST_COUNTED", "TIME_SHIFT", "bounds_of"]

COUNT_BITS, TIME_SHIFT = 5, 11
"""Bits of a window's number, and where the time lies in a value: above what a packet adds."""
MOST_BINNED, MOST_COUNTED = 31, (1 << COUNT_BITS) - 1
"""Times and packets up to which there is room."""
BOUNDS = 1 << (2 * COUNT_BITS)
"""Bounds of a class: one for each number of packets of the lower two windows."""
UNREACHED = 0xFFFF


def bounds_of(following: NDArray[np.int64], undecoded: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Return (L·1024,) bounds of an automaton with three windows at most, given as to :func:`uepgpu_kernels.steps.steps_of`.

    With n and m packets of the first two, a class is decoded from as many of the third on as the bound at n + 32 m has above 10
    bits; below it has n + 32 m itself, so that whole sums compare. What no number reaches is 0xFFFF.
    """
    n = MOST_COUNTED + 1
    n_windows = following.shape[1]
    state: NDArray[np.int64] = np.zeros((n, n), dtype=np.int64)  # by number of the second, and of the first
    for window, axis in ((0, 1), (1, 0)):
        for i in range(1, n):
            before = np.take(state, i - 1, axis=axis)
            after = following[before, window] if window < n_windows else before
            if axis == 1:
                state[:, i] = after
            else:
                state[i] = after
    state = state.reshape(-1)
    lower = np.arange(BOUNDS)
    bounds = np.full((undecoded.shape[1], BOUNDS), UNREACHED, dtype=np.uint16)
    for third in range(n if n_windows == 3 else 1):
        fresh = ~undecoded[state].T & (bounds == UNREACHED)
        bounds = np.where(fresh, (third << (2 * COUNT_BITS)) | lower, bounds).astype(np.uint16)
        if n_windows == 3:
            state = following[state, 2]
    return bounds.ravel()

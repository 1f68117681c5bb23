"""Peeling: a packet with one unknown sub-product reveals it; repeat until none is left."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.bits import is_power_of_two
from uepgpu_kernels.bodies.body import body

__all__ = ["peel_take"]

ZERO = np.uint64(0)


@body
def peel_take(support: Any, waiting: Any, n_waiting: Any, known: Any) -> Any:
    """Take a packet in; return (known sub-products, number of waiting packets).

    `waiting` holds what was unknown of their supports when last something became known.
    """
    fresh = support & ~known
    if fresh == ZERO:
        return known, n_waiting
    if not is_power_of_two(fresh):
        waiting[n_waiting] = fresh
        return known, n_waiting + 1
    while fresh != ZERO:
        known |= fresh
        fresh = ZERO
        for i in range(n_waiting):
            unknown = waiting[i] & ~known
            waiting[i] = unknown
            fresh |= unknown if is_power_of_two(unknown) else ZERO
    kept = 0
    for i in range(n_waiting):
        unknown = waiting[i]
        waiting[kept] = unknown
        kept += 1 if unknown != ZERO else 0
    return known, kept

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
    """Take a packet in; return (known sub-products, number of waiting packets); `waiting` holds their supports."""
    unknown = support & ~known
    if unknown == ZERO:
        return known, n_waiting
    waiting[n_waiting] = unknown
    n_waiting += 1
    grew = is_power_of_two(unknown)
    while grew:
        grew = False
        kept = 0
        for i in range(n_waiting):
            unknown = waiting[i] & ~known
            if is_power_of_two(unknown):
                known |= unknown
                grew = True
            elif unknown != ZERO:
                waiting[kept] = unknown
                kept += 1
        n_waiting = kept
    return known, n_waiting

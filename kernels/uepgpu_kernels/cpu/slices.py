"""Single lanes of vectors; :mod:`uepgpu_kernels.cpu.vectors` has their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cpu.compile import stage

__all__ = ["is_any_set", "lane_bit", "set_first_lanes"]

ONE = np.uint64(1)


@stage
def lane_bit(vectors: Any, at: Any, lane: Any) -> Any:
    """Return the bit of one lane, 0 or 1, as uint64."""
    return (vectors[at + ((lane >> 3) & 7)] >> np.uint64(8 * (lane & 7) + (lane >> 6))) & ONE


@stage
def set_first_lanes(n: Any, vector: Any) -> None:
    """Set the bits of lanes 0 .. n - 1 and no other ones."""
    vector[:] = np.uint64(0)
    for lane in range(n):
        vector[(lane >> 3) & 7] |= ONE << np.uint64(8 * (lane & 7) + (lane >> 6))


@stage
def is_any_set(vectors: Any) -> Any:
    """Return whether any bit of some vectors is set."""
    found = np.uint64(0)
    for x in vectors:
        found |= x
    return found != np.uint64(0)

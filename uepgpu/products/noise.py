"""Noise on payloads, as a channel or a worker's arithmetic would add it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import Place

__all__ = ["add_noise"]


def add_noise(payloads: Any, arrived: NDArray[np.bool_], noise: float, seed: int, first: int, place: Place) -> None:
    """Add normal noise of standard deviation `noise` relative to each payload's root mean square, in place.

    A generator per realization, so that a realization's noise depends on nothing else. `payloads` has shape (R, M, a, b), those
    that `arrived` (R, W) coming first, and lives at `place`.
    """
    xp = place.xp
    for r, count in enumerate(arrived.sum(axis=1)):
        counter = np.array([0, 0, 0, first + r], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=seed, counter=counter))
        here = payloads[r, : int(count)]
        drawn = xp.asarray(rng.standard_normal(here.shape))
        scale = noise * xp.sqrt(xp.mean(here.astype(xp.float64) ** 2, axis=(1, 2), keepdims=True))
        with np.errstate(over="ignore", invalid="ignore"):  # an overflowed payload is flagged later
            here += (drawn * scale).astype(payloads.dtype)

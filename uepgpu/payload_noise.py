"""Noise on payloads, as a channel or a worker's arithmetic would add it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.array_namespace import Place

__all__ = ["add_noise"]


def add_noise(payloads: Any, arrived: NDArray[np.bool_], noise: float, seed: int, first: int, place: Place) -> None:
    """Add normal noise of standard deviation `noise` relative to each payload's root mean square, in place.

    A generator per realization, so that a realization's noise depends on nothing else. `payloads` has shape (R, W, a, b) and
    lives at `place`; what has not arrived stays as it is.
    """
    xp = place.xp
    for r, here in enumerate(arrived):
        counter = np.array([0, 0, 0, first + r], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=seed, counter=counter))
        drawn = xp.asarray(rng.standard_normal(payloads.shape[1:]) * here[:, None, None])
        scale = noise * xp.sqrt(xp.mean(payloads[r].astype(xp.float64) ** 2, axis=(1, 2), keepdims=True))
        with np.errstate(over="ignore", invalid="ignore"):  # an overflowed payload is flagged later
            payloads[r] += (drawn * scale).astype(payloads.dtype)

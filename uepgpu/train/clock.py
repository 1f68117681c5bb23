"""Simulated wall-clock: what a step costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import get_backend
from uepgpu.codes import Code
from uepgpu.partition import Partition
from uepgpu.plan import make_plan, resolve_decoder
from uepgpu.train.draws import realization_number
from uepgpu.workers import Workers

__all__ = ["completion_times", "product_slots", "time_grid"]

Floats = NDArray[np.float64]

GRID = 1024
"""Points of the grid of times, about 1 % apart with an exponential law. Completion between two of them counts as their geometric
mean."""

NEGLIGIBLE_EARLY, NEGLIGIBLE_LATE = 1e-3, 2.0**-32
"""An arrival before the start of the grid is no completion."""


def product_slots(dense_layers: int, *, front: bool) -> list[int]:
    """Return the slots of the coded products of a step; the first layer's δ·Wᵀ is needed only by a layer in front of it.

    Examples
    --------
    >>> product_slots(3, front=False)
    [1, 2, 3, 4, 5]
    """
    return list(range(0 if front else 1, 2 * dense_layers))


def time_grid(code: Code, part: Partition, workers: Workers) -> Floats:
    """Return times (GRID,) from before the first to after the last arrival, in geometric steps.

    Raises
    ------
    ValueError
        Packets may be lost or the law has no end, so that not everything is always decoded.
    """
    work = code.law(part, workers.count).work
    kinds, _ = workers.kinds()
    k, most, least = part.n_subproducts, float(work.max()), float(work.min())
    late = 1.0
    while max(float(workers.absence(late, k, most, *kind)) for kind in kinds) > NEGLIGIBLE_LATE:
        late *= 2
        if late > 1e200:
            raise ValueError(f"waiting for all never ends: some packets of {workers!r} do not arrive")
    early = late
    while max(float(workers.arrival(early, k, least, *kind)) for kind in kinds) > NEGLIGIBLE_EARLY and early > late * 1e-12:
        early /= 2
    return np.geomspace(early, late, GRID)


def completion_times(
    code: Code, part: Partition, workers: Workers, *, seed: int, replica: int, slots: Sequence[int], steps: int
) -> Floats:
    """Return when everything is decoded in the products of every step, shape (steps, slots), if the master waits for it.

    These are the realizations of training (:func:`~uepgpu.train.draws.realization_number`), with no deadline.

    Raises
    ------
    ValueError
        Something is never decoded, however long one waits.

    Examples
    --------
    >>> import uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[1.0] * 9, right_variances=[1.0] * 9, classes=(9,))
    >>> workers = uep.Workers(9, latency=uep.latency.Exponential(0.5))
    >>> times = completion_times(uep.codes.Uncoded(), part, workers, seed=1, replica=0, slots=[1], steps=20_000)
    >>> round(float(times.mean()), 1)  # H_9 / λ = 5.66
    5.7
    """
    grid = time_grid(code, part, workers)
    plan = make_plan(code, part, workers, seed=seed, deadlines=grid)
    chosen = get_backend("auto", part.n_subproducts, realizations=steps)
    sampler = chosen.sampler(plan, resolve_decoder(plan, "auto"), "patterns", 1)
    middle = np.sqrt(grid * np.append(grid[0], grid[:-1]))
    result = np.empty((steps, len(slots)))
    for column, slot in enumerate(slots):
        last = sampler.decode_times(realization_number(replica, 0, slot), steps).max(axis=1)
        if (last >= grid.size).any():
            raise ValueError(f"{code!r} with {workers.count} workers does not always decode everything: it cannot be waited for")
        result[:, column] = middle[last]
    return result

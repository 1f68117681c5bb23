"""Inverse questions asked of a tally: the deadline, or the number of workers, that a loss takes, with intervals.

The interval of an answer is the set of deadlines (or numbers of workers) at which the 95 % interval of the loss holds the target: a
test of each, inverted.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import instance, positive
from uepgpu.partition import Partition
from uepgpu.tally.axis import View, view
from uepgpu.tally.counts import Counts
from uepgpu.tally.estimates import attributes, check_partition, loss_along
from uepgpu.text.variables import dataset as labelled
from uepgpu.theory.distribution import losses_array
from uepgpu.theory.inverse import require_scalable
from uepgpu.theory.search import first_time, typical_time
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["deadline_for", "deadline_on_grid", "workers_for"]

Floats = NDArray[np.float64]

# The lower end of the loss reaches a target first, and gives the lower end of the answer.
ENDS = ("", "_low", "_high")


def deadline_for(counts: Counts, part: Partition, loss: ArrayLike, workers: Workers | None) -> xr.Dataset:
    """See :meth:`Tally.deadline_for`."""
    targets = losses_array("loss", loss)
    if counts.domain == "deadline":
        seen = view(counts, workers, None)
        check_partition(counts, part, workers)
        return deadline_on_grid(counts, loss_along(counts, part, seen), targets)
    if workers is None:
        raise ValueError("workers must be given for a count-domain tally: their latency law decides when packets have arrived")
    instance("workers", workers, Workers)
    check_partition(counts, part, workers)
    start = typical_time(workers, part.n_subproducts)
    found = {end: [first_time(_curve(counts, part, workers, end), t, start) for t in targets.tolist()] for end in ENDS}
    return _answers(counts, "deadline", targets, {end: np.array(times) for end, times in found.items()}, workers.time_unit)


def deadline_on_grid(counts: Counts, curve: xr.Dataset, targets: Floats) -> xr.Dataset:
    """Return the answers of losses along the deadlines of a tally."""
    assert counts.deadlines is not None
    return _answers(counts, "deadline", targets, _by_grid(curve, counts.deadlines, targets), counts.time_unit)


def _curve(counts: Counts, part: Partition, workers: Workers, end: str) -> Any:
    return lambda times: loss_along(counts, part, view(counts, workers, times))[f"normalized_loss{end}"].values


def _by_grid(curve: xr.Dataset, deadlines: Floats, targets: Floats) -> dict[str, Floats]:
    """Return the first deadlines of the grid; at the lower end the last one that is surely too early, 0 if none is."""
    found = {}
    for end in ENDS:
        enough = curve[f"normalized_loss{end}"].values[None, :] <= targets[:, None]
        first = np.where(enough.any(axis=1), enough.argmax(axis=1), deadlines.size)
        padded = np.concatenate([[0.0], deadlines, [math.inf]])
        found[end] = padded[first] if end == "_low" else padded[first + 1]
    return found


def workers_for(counts: Counts, part: Partition, loss: ArrayLike, workers: Workers, deadline: float) -> xr.Dataset:
    """See :meth:`Tally.workers_for`."""
    targets = losses_array("loss", loss)
    instance("workers", workers, Workers)
    time = positive("deadline", deadline, zero=True)
    if counts.domain == "deadline" or counts.tied:
        why = "was simulated at fixed deadlines" if counts.domain == "deadline" else "has packets that are tied to workers"
        raise ValueError(f"this tally {why}, so that it serves W = {counts.n_packets} alone: simulate each number of workers")
    check_partition(counts, part, workers)
    require_scalable(workers)
    sizes = np.arange(1, max(counts.n_packets // workers.messages, 1) + 1)
    weight = np.concatenate([_weight(counts, replace(workers, count=int(n)), time) for n in sizes])
    curve = loss_along(counts, part, View("workers", sizes, weight))
    found = {}
    for end in ENDS:
        enough = curve[f"normalized_loss{end}"].values[None, :] <= targets[:, None]
        found[end] = np.where(enough.any(axis=1), sizes[enough.argmax(axis=1)], math.inf)
    return _answers(counts, "workers", targets, found)


def _weight(counts: Counts, workers: Workers, time: float) -> Floats:
    weight = view(counts, workers, [time]).weight
    assert weight is not None
    return weight


def _answers(counts: Counts, name: str, targets: Floats, found: dict[str, Floats], time_unit: str | None = None) -> xr.Dataset:
    values = {f"{name}{end}": ("target", value) for end, value in found.items()}
    return labelled(values, {"target": targets}, attributes(counts), time_unit)

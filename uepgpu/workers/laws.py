"""The laws of a pool of workers: one for all, one each, or a recorded trace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import shown
from uepgpu.latency import Latency, Trace

__all__ = ["checked_latency", "distinct_laws"]


def checked_latency(latency: Any, count: int) -> Latency | tuple[Latency, ...] | Trace:
    """Return a law, W of them as a tuple, or a trace of W workers.

    Raises
    ------
    ValueError
        It is none of these.
    """
    if isinstance(latency, Trace):
        if latency.n_workers != count:
            raise ValueError(f"latency must be a trace of all workers: {count} workers, got a trace of {latency.n_workers}")
        return latency
    # A class has these methods too, but they need an instance.
    if isinstance(latency, Latency) and not isinstance(latency, type):
        return latency
    if isinstance(latency, str | type) or not isinstance(latency, Iterable):
        raise ValueError(f"latency must be a law from uepgpu.latency or have methods cdf and sf, got {shown(latency)}")
    laws = tuple(latency)
    for law in laws:
        if isinstance(law, type) or not isinstance(law, Latency):
            raise ValueError(f"latency must be a law, or a sequence of one law per worker, got {shown(law)} among them")
    if len(laws) != count:
        raise ValueError(f"latency must give one law per worker: {count} workers, got {len(laws)} laws")
    return laws


def distinct_laws(laws: tuple[Latency, ...]) -> tuple[tuple[Latency, ...], NDArray[np.int64]]:
    """Return the different laws in order of first occurrence, and which of them each worker has."""
    numbers: dict[object, int] = {}
    number = [numbers.setdefault(_key(law), len(numbers)) for law in laws]
    first = np.unique(number, return_index=True)[1]
    return tuple(laws[i] for i in first.tolist()), np.array(number, dtype=np.int64)


def _key(law: Latency) -> object:
    """Return what equal laws share: themselves where they can be compared, else their identity."""
    try:
        hash(law)
    except TypeError:
        return id(law)
    return law

"""What a latency law is: how long one unit of work takes at a worker of speed 1."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import real_array

__all__ = ["ROUNDING", "Floats", "Latency", "as_times"]

Floats = NDArray[np.float64]


@runtime_checkable
class Latency(Protocol):
    """A law of non-negative latencies, in the user's unit of time.

    Your own law needs only these two methods. ``sf`` is separate from ``cdf`` because
    1 - F loses its digits where almost everything has arrived.

    Examples
    --------
    >>> class Uniform:
    ...     def cdf(self, time):
    ...         return np.clip(np.asarray(time, dtype=float), 0.0, 1.0)
    ...
    ...     def sf(self, time):
    ...         return 1.0 - self.cdf(time)
    >>> isinstance(Uniform(), Latency)
    True
    """

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t) = Pr[T <= t] for times of any shape."""
        ...

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t) for times of any shape, accurate in the tail."""
        ...


ROUNDING = 1 + 2.0**-50
"""Slack of laws with steps, four roundings: 0.7·3/10 < 0.21 in float64, yet a packet due then has met its deadline."""


def as_times(time: ArrayLike) -> Floats:
    """Return times as a new float64 array, checked to be real numbers."""
    return real_array("time", time)

"""Latency laws: how long one unit of work takes at a worker of speed 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import positive

__all__ = [
    "Deterministic",
    "Empirical",
    "Exponential",
    "FromCDF",
    "Latency",
    "LogNormal",
    "Pareto",
    "ShiftedExponential",
    "Weibull",
]

Floats = NDArray[np.float64]


@runtime_checkable
class Latency(Protocol):
    """A law of non-negative latencies, in the user's unit of time.

    A law of one's own needs just these two methods. ``sf`` is asked for apart from ``cdf`` because
    1 - F loses its digits where almost everything has arrived.
    """

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t) = Pr[T <= t] for times of any shape."""
        ...

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t) for times of any shape, accurate in the tail."""
        ...


def _times(time: ArrayLike) -> Floats:
    return np.maximum(np.asarray(time, dtype=np.float64), 0.0)


@dataclass(frozen=True)
class Exponential:
    """Exponential latency, F(t) = 1 - exp(-rate t).

    Parameters
    ----------
    rate : float
        Answers per unit of time, > 0.

    Examples
    --------
    >>> round(float(Exponential(1.0).cdf(0.5)), 4)
    0.3935
    """

    rate: float = 1.0

    def __post_init__(self) -> None:
        positive("rate", self.rate)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t)."""
        return -np.expm1(-self.rate * _times(time))

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        return np.asarray(np.exp(-self.rate * _times(time)))


@dataclass(frozen=True)
class ShiftedExponential:
    """A constant plus an exponential: F(t) = 1 - exp(-rate (t - shift)) for t >= shift, else 0.

    Parameters
    ----------
    rate : float
        > 0.
    shift : float
        The least possible latency, >= 0.
    """

    rate: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        positive("rate", self.rate)
        positive("shift", self.shift, zero=True)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t)."""
        return -np.expm1(-self.rate * np.maximum(_times(time) - self.shift, 0.0))

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        return np.asarray(np.exp(-self.rate * np.maximum(_times(time) - self.shift, 0.0)))


@dataclass(frozen=True)
class Weibull:
    """Weibull latency, F(t) = 1 - exp(-(t/scale)^shape).

    Parameters
    ----------
    shape, scale : float
        Both > 0. shape < 1 has a heavier tail than the exponential.
    """

    shape: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        positive("shape", self.shape)
        positive("scale", self.scale)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t)."""
        return -np.expm1(-((_times(time) / self.scale) ** self.shape))

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        return np.asarray(np.exp(-((_times(time) / self.scale) ** self.shape)))


@dataclass(frozen=True)
class Pareto:
    """Pareto latency, F(t) = 1 - (scale/t)^shape for t >= scale, else 0.

    Parameters
    ----------
    shape, scale : float
        Both > 0; `scale` is the least possible latency.
    """

    shape: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        positive("shape", self.shape)
        positive("scale", self.scale)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t)."""
        return -np.expm1(self.shape * np.log(self.scale / np.maximum(_times(time), self.scale)))

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        return np.asarray((self.scale / np.maximum(_times(time), self.scale)) ** self.shape)


@dataclass(frozen=True)
class LogNormal:
    """Log-normal latency: log T is normal with mean `mu` and standard deviation `sigma` > 0."""

    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.mu):
            raise ValueError(f"mu must be a finite number, got {self.mu!r}")
        positive("sigma", self.sigma)

    def _standard(self, time: ArrayLike) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray((np.log(_times(time)) - self.mu) / self.sigma)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self._standard(time)), dtype=np.float64)

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(-self._standard(time)), dtype=np.float64)


@dataclass(frozen=True)
class Deterministic:
    """Every answer takes exactly `time` >= 0 per unit of work."""

    time: float = 1.0

    def __post_init__(self) -> None:
        positive("time", self.time, zero=True)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t), a step."""
        return np.asarray(_times(time) >= self.time, dtype=np.float64)

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        return 1.0 - self.cdf(time)


@dataclass(frozen=True, eq=False)
class Empirical:
    """The empirical law of measured latencies.

    Parameters
    ----------
    samples : array_like of float, shape (n,)
        Measured latencies, finite and >= 0; n >= 1.

    Examples
    --------
    >>> Empirical([1.0, 2.0, 4.0, 8.0]).cdf([0.5, 2.0, 9.0]).tolist()
    [0.0, 0.5, 1.0]
    """

    samples: ArrayLike

    def __post_init__(self) -> None:
        samples = np.sort(np.asarray(self.samples, dtype=np.float64).ravel())
        if samples.size == 0 or not np.all(np.isfinite(samples)) or samples[0] < 0:
            raise ValueError("samples must hold at least one latency, all finite and >= 0")
        samples.setflags(write=False)
        object.__setattr__(self, "samples", samples)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return the share of samples <= t."""
        samples = np.asarray(self.samples)
        return np.searchsorted(samples, np.asarray(time, dtype=np.float64), side="right") / samples.size

    def sf(self, time: ArrayLike) -> Floats:
        """Return the share of samples > t."""
        samples = np.asarray(self.samples)
        return (samples.size - np.searchsorted(samples, np.asarray(time, dtype=np.float64), side="right")) / samples.size


@dataclass(frozen=True)
class FromCDF:
    """A law given by its distribution function.

    Parameters
    ----------
    function : callable
        Maps an array of times to F(t), of the same shape, within [0, 1] and non-decreasing. Checked at every use.

    Examples
    --------
    >>> uniform = FromCDF(lambda t: np.clip(t / 2, 0, 1))
    >>> uniform.cdf([0.5, 3.0]).tolist()
    [0.25, 1.0]
    """

    function: Callable[[Floats], ArrayLike]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"function must be callable, got {self.function!r}")

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t), checked."""
        times = np.asarray(time, dtype=np.float64)
        value = np.asarray(self.function(times), dtype=np.float64)
        if value.shape != times.shape:
            raise ValueError(f"function must return one value per time: times of shape {times.shape} gave shape {value.shape}")
        if not np.all((value >= 0) & (value <= 1)):
            raise ValueError(f"function must return probabilities within [0, 1], got {value.ravel()[:8].tolist()}")
        order = np.argsort(times, axis=None)
        if np.any(np.diff(value.ravel()[order]) < 0):
            raise ValueError("function must be non-decreasing in time")
        return value

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t), to the absolute rounding of F."""
        return 1.0 - self.cdf(time)

"""Latency laws: how long one unit of work takes at a worker of speed 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import finite, positive, real_array, shown

if TYPE_CHECKING:
    from collections.abc import Callable

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


def _times(time: ArrayLike) -> Floats:
    return real_array("time", time)


class _ByHazard:
    """A law with F(t) = 1 - exp(-H(t)); both F and 1 - F keep their digits."""

    def _hazard(self, time: Floats) -> Floats:
        """Return the cumulative hazard H(t) for times >= 0."""
        raise NotImplementedError

    def _cumulated(self, time: ArrayLike) -> Floats:
        # A hazard that overflows float64 is infinite: everything has arrived.
        with np.errstate(over="ignore"):
            return self._hazard(np.maximum(_times(time), 0.0))

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t) for times of any shape; 0 for negative ones."""
        return np.asarray(-np.expm1(-self._cumulated(time)))

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t) for times of any shape, accurate in the tail."""
        return np.asarray(np.exp(-self._cumulated(time)))


@dataclass(frozen=True)
class Exponential(_ByHazard):
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

    def _hazard(self, time: Floats) -> Floats:
        return self.rate * time


@dataclass(frozen=True)
class ShiftedExponential(_ByHazard):
    """A constant plus an exponential: F(t) = 1 - exp(-rate (t - shift)) for t >= shift, else 0.

    Parameters
    ----------
    rate : float
        > 0.
    shift : float
        The least possible latency, >= 0.

    Examples
    --------
    >>> ShiftedExponential(rate=2.0, shift=0.5).cdf([0.4, 0.5, 1.0]).round(4).tolist()
    [0.0, 0.0, 0.6321]
    """

    rate: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        positive("rate", self.rate)
        positive("shift", self.shift, zero=True)

    def _hazard(self, time: Floats) -> Floats:
        return self.rate * np.maximum(time - self.shift, 0.0)


@dataclass(frozen=True)
class _ByShape(_ByHazard):
    """A law with a shape and a scale, both > 0."""

    shape: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        positive("shape", self.shape)
        positive("scale", self.scale)


@dataclass(frozen=True)
class Weibull(_ByShape):
    """Weibull latency, F(t) = 1 - exp(-(t/scale)^shape).

    Parameters
    ----------
    shape, scale : float
        Both > 0. shape < 1 has a heavier tail than the exponential.

    Examples
    --------
    >>> Weibull(shape=0.5, scale=2.0).cdf([0.0, 2.0, 8.0]).round(4).tolist()
    [0.0, 0.6321, 0.8647]
    """

    def _hazard(self, time: Floats) -> Floats:
        return (time / self.scale) ** self.shape


@dataclass(frozen=True)
class Pareto(_ByShape):
    """Pareto latency, F(t) = 1 - (scale/t)^shape for t >= scale, else 0.

    Parameters
    ----------
    shape, scale : float
        Both > 0; `scale` is the least possible latency.

    Examples
    --------
    >>> Pareto(shape=2.0, scale=1.0).sf([0.5, 1.0, 10.0]).round(4).tolist()
    [1.0, 1.0, 0.01]
    """

    def _hazard(self, time: Floats) -> Floats:
        return self.shape * np.log(np.maximum(time, self.scale) / self.scale)


@dataclass(frozen=True)
class LogNormal:
    """Log-normal latency: log T is normal with mean `mu` and standard deviation `sigma` > 0.

    Examples
    --------
    >>> LogNormal(mu=0.0, sigma=0.5).cdf([0.0, 1.0, 2.0]).round(4).tolist()
    [0.0, 0.5, 0.9172]
    """

    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        finite("mu", self.mu)
        positive("sigma", self.sigma)

    def _standard(self, time: ArrayLike) -> Floats:
        with np.errstate(divide="ignore", over="ignore"):  # log 0, and a tiny sigma
            return np.asarray((np.log(np.maximum(_times(time), 0.0)) - self.mu) / self.sigma)

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
    """Every answer takes exactly `time` >= 0 per unit of work.

    Examples
    --------
    >>> Deterministic(0.3).cdf([0.2, 0.3, 0.4]).tolist()
    [0.0, 1.0, 1.0]
    """

    time: float = 1.0

    def __post_init__(self) -> None:
        positive("time", self.time, zero=True)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t), a step."""
        return np.asarray(_times(time) * ROUNDING >= self.time, dtype=np.float64)

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        return 1.0 - self.cdf(time)


@dataclass(frozen=True, eq=False)
class Empirical:
    """The empirical law of measured latencies.

    Parameters
    ----------
    samples : array_like of float, shape (n,)
        Measured latencies, finite and >= 0; n >= 1. A table of several workers is refused: give one column, or its
        ``ravel()`` if they are to be pooled.

    Examples
    --------
    >>> Empirical([1.0, 2.0, 4.0, 8.0]).cdf([0.5, 2.0, 9.0]).tolist()
    [0.0, 0.5, 1.0]
    """

    samples: ArrayLike

    def __post_init__(self) -> None:
        samples = real_array("samples", self.samples)
        if samples.ndim != 1:
            raise ValueError(
                f"samples must be one-dimensional, got shape {samples.shape}: give one column of a table, or pool it by ravel()"
            )
        samples = np.sort(samples)
        if samples.size == 0 or not np.all(np.isfinite(samples)) or samples[0] < 0:
            raise ValueError("samples must hold at least one latency, all finite and >= 0")
        samples.setflags(write=False)
        object.__setattr__(self, "samples", samples)

    def _arrived(self, time: ArrayLike) -> NDArray[np.intp]:
        return np.asarray(np.searchsorted(np.asarray(self.samples), _times(time) * ROUNDING, side="right"))

    def cdf(self, time: ArrayLike) -> Floats:
        """Return the share of samples <= t."""
        return self._arrived(time) / np.size(self.samples)

    def sf(self, time: ArrayLike) -> Floats:
        """Return the share of samples > t."""
        return (np.size(self.samples) - self._arrived(time)) / np.size(self.samples)


@dataclass(frozen=True)
class FromCDF:
    """A law given by its distribution function.

    Parameters
    ----------
    function : callable
        Maps an array of times >= 0 to F(t), of the same shape, within [0, 1] and non-decreasing. Checked at every use.

    Examples
    --------
    >>> uniform = FromCDF(lambda t: np.clip(t / 2, 0, 1))
    >>> uniform.cdf([0.5, 3.0]).tolist()
    [0.25, 1.0]
    """

    function: Callable[[Floats], ArrayLike]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"function must be callable, got {shown(self.function)}")

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t), checked; 0 for negative times, for which `function` is not called."""
        times = _times(time)
        at = np.asarray(np.maximum(times, 0.0))
        try:
            answer = self.function(at.copy())
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"function must take an array of times and return F of each; it raised {type(error).__name__}: {error}"
            ) from error
        value = real_array("function", answer)
        if value.shape != times.shape:
            raise ValueError(f"function must return one value per time: times of shape {times.shape} gave shape {value.shape}")
        if not np.all((value >= 0) & (value <= 1)):
            raise ValueError(f"function must return probabilities within [0, 1], got {shown(value.ravel()[:8].tolist())}")
        order = np.argsort(at, axis=None)
        if np.any(np.diff(value.ravel()[order]) < 0):
            raise ValueError("function must be non-decreasing in time")
        return np.where(times < 0, 0.0, value)

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t), to the absolute rounding of F."""
        return 1.0 - self.cdf(time)

"""Laws with a density."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from uepgpu.checks import finite, positive
from uepgpu.latency.law import Floats, as_times
from uepgpu.text.html import Described

__all__ = ["Exponential", "LogNormal", "Pareto", "ShiftedExponential", "Weibull"]


class _ByHazard(Described):
    """A law with F(t) = 1 - exp(-H(t)); both F and 1 - F keep their digits."""

    def _hazard(self, time: Floats) -> Floats:
        """Return the cumulative hazard H(t) for times >= 0."""
        raise NotImplementedError

    def _cumulated(self, time: ArrayLike) -> Floats:
        # A hazard that overflows float64 is infinite: everything has arrived.
        with np.errstate(over="ignore"):
            return self._hazard(np.maximum(as_times(time), 0.0))

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
class LogNormal(Described):
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
            return np.asarray((np.log(np.maximum(as_times(time), 0.0)) - self.mu) / self.sigma)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self._standard(time)), dtype=np.float64)

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(-self._standard(time)), dtype=np.float64)

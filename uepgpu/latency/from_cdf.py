"""A law given by its distribution function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from uepgpu.checks import real_array, shown
from uepgpu.latency.law import Floats, as_times
from uepgpu.text.html import Described

__all__ = ["FromCDF"]


@dataclass(frozen=True)
class FromCDF(Described):
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
        times = as_times(time)
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

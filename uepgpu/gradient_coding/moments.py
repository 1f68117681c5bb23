"""Means and standard errors of many realizations, merged from chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and sum of squared deviations of realizations, elementwise.

    ``+`` merges disjoint sets (Chan, Golub, LeVeque 1979): equal realizations keep a deviation of zero, where sums of squares
    would leave rounding. Merging in another order changes the last bits.

    Examples
    --------
    >>> both = Moments.of(np.array([[1.0], [2.0]])) + Moments.of(np.array([[6.0]]))
    >>> both.mean.tolist(), both.stderr.round(4).tolist()
    ([3.0], [1.5275])
    """

    count: int
    mean: Floats
    squares: Floats

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Return the moments of values of shape (realizations, ...)."""
        # Realizations that diverged are infinite, and so is their mean; its error is not a number.
        with np.errstate(invalid="ignore", over="ignore"):
            mean = values.mean(axis=0)
            return cls(len(values), mean, np.sum((values - mean) ** 2, axis=0))

    def __add__(self, other: Moments) -> Moments:
        """Merge two disjoint sets of realizations."""
        n = self.count + other.count
        with np.errstate(invalid="ignore", over="ignore"):
            apart = other.mean - self.mean
            mean = self.mean + apart * (other.count / n)
            squares = self.squares + other.squares + apart**2 * (self.count * other.count / n)
        return Moments(n, mean, squares)

    @property
    def stderr(self) -> Floats:
        """Standard error of the mean; nan for a single realization."""
        if self.count < 2:
            return np.full(self.mean.shape, np.nan)
        return np.asarray(np.sqrt(self.squares / (self.count - 1) / self.count))

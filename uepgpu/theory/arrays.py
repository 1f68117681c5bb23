"""Probability mass functions and their convolutions, one row per point (deadline or received count)."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["binomial", "both_sides", "convolve", "log_binomial", "log_poisson"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def log_poisson(n: Ints, rate: Floats) -> Floats:
    """Return log Pr[Poisson(rate) = n]; -inf for n < 0. The arguments broadcast."""
    from scipy.special import gammaln, xlogy

    at = np.maximum(n, 0)
    return np.where(n >= 0, xlogy(at, rate) - rate - gammaln(at + 1.0), -np.inf)


def log_binomial(n: Ints, size: Ints | int, arrived: Floats, absent: Floats) -> Floats:
    """Return log Pr[Bin(size, arrived) = n], `absent` being 1 - arrived; -inf outside 0..size. The arguments broadcast."""
    from scipy.special import gammaln, xlogy

    inside = (n >= 0) & (n <= size)
    at = np.where(inside, n, 0)
    choose = gammaln(np.asarray(size) + 1.0) - gammaln(at + 1.0) - gammaln(size - at + 1.0)
    return np.where(inside, choose + xlogy(at, arrived) + xlogy(size - at, absent), -np.inf)


def binomial(size: int, arrived: Floats, absent: Floats, most: int) -> Floats:
    """Return Pr[Bin(size, arrived) = n] for n = 0..most, shape (points, most + 1)."""
    return np.exp(log_binomial(np.arange(most + 1), size, arrived[:, None], absent[:, None]))


def convolve(a: Floats, b: Floats, length: int) -> Floats:
    """Return the first `length` terms (fewer if there are fewer) of the row-wise convolution of a and b."""
    if a.shape[1] < b.shape[1]:
        a, b = b, a
    width = b.shape[1]
    padded = np.pad(a, ((0, 0), (width - 1, width - 1)))
    windows = sliding_window_view(padded, width, axis=1)[:, :length]
    # A contiguous factor lets einsum use vector instructions: eight times faster at a width of 256.
    return np.asarray(np.einsum("dnm,dm->dn", windows, np.ascontiguousarray(b[:, ::-1])), dtype=np.float64)


def both_sides(q: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return the probabilities q and p of an event and its complement so that they sum to 1.

    Both come as sums of positive terms, good to their last digits but one where they are small; the larger one follows.
    """
    return np.where(p < 0.5, 1.0 - p, np.minimum(q, 1.0)), np.where(q < 0.5, 1.0 - q, np.minimum(p, 1.0))

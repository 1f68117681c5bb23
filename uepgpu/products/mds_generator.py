"""Real MDS generators that stay well conditioned whichever packets are lost."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["harmonic_generator", "mds_generator", "worst_condition"]

Floats = NDArray[np.float64]

MOST_PATTERNS = 500
CANDIDATES = 16


def harmonic_generator(n: int, k: int) -> Floats:
    """Return a real (n, k) generator with orthogonal columns and every k rows independent, from the real Fourier basis.

    Its orthogonal complement holds the n - k lowest frequencies of one parity at n equispaced angles; trigonometric polynomials
    of one parity are a Haar system, so any n - k of its rows are independent, and with them any k rows of the generator.
    Rows have unit norm on average.
    """
    missing = n - k
    # An odd number of low frequencies is 1, cos, sin, …; an even one uses half frequencies cos(θ/2), sin(θ/2), …
    offset = 0.5 if missing % 2 == 0 and missing else 0.0
    angle = 2 * np.pi * np.arange(n) / n
    columns: list[Floats] = [] if offset else [np.ones(n)]
    frequency = offset or 1.0
    while len(columns) < n:
        columns += [np.cos(frequency * angle), np.sin(frequency * angle)]
        frequency += 1
    orthonormal, _ = np.linalg.qr(np.stack(columns[:n], axis=1))
    return orthonormal[:, missing:] * math.sqrt(n / k)


def _patterns(n: int, k: int) -> NDArray[np.int64]:
    """Return sets of k received packets: all of them, or a fixed sample with the runs of neighbours in it."""
    if math.comb(n, k) <= MOST_PATTERNS:
        return np.array(list(itertools.combinations(range(n), k)))
    rng = np.random.default_rng(1)
    return np.stack([np.sort(rng.permutation(n)[:k]) for _ in range(MOST_PATTERNS)])


def worst_condition(generator: Floats, quantile: float = 1.0) -> float:
    """Return the condition number of the received rows at a quantile over the sets of k packets (or a sample of them)."""
    n, k = generator.shape
    return float(np.quantile(np.linalg.cond(generator[_patterns(n, k)]), quantile))


@functools.cache
def mds_generator(n: int, k: int) -> Floats:
    """Return a well-conditioned real MDS generator, shape (n, k), read-only: the best of the harmonic one and random ones.

    Raises
    ------
    ValueError
        If n < k: no k packets exist.
    """
    if n < k:
        raise ValueError(f"an MDS generator needs at least K = {k} packets, got {n}")
    rng = np.random.default_rng(0)
    # Rotated: the harmonic columns have zeros and symmetries, by which fewer than k packets decode something. A rotation of
    # the columns leaves every condition number as it is.
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(k, k)))
    candidates = [harmonic_generator(n, k) @ rotation]
    for _ in range(CANDIDATES):
        orthonormal, _ = np.linalg.qr(rng.normal(size=(n, k)))
        candidates.append(orthonormal * math.sqrt(n / k))
    # All sets are looked at where they are few; among samples, the rare worst one says less than the bulk.
    quantile = 1.0 if math.comb(n, k) <= MOST_PATTERNS else 0.95
    best: Floats = min(candidates, key=lambda g: worst_condition(g, quantile))
    best.setflags(write=False)
    return best

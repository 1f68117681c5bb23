"""The law of N(t), the number of packets that have arrived by every deadline, for any joint law of arrivals.

Where packets carry equal work and their contents do not depend on who sends them, it is all that latencies, speeds and losses
decide (docs/mathematics.md §4): closed forms and count-domain tallies weigh their values at N packets with it.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.theory.arrays import binomial, convolve

if TYPE_CHECKING:
    from uepgpu.workers import Workers

__all__ = ["MOST_DIFFERENT", "received_law"]

Floats = NDArray[np.float64]

MOST_DIFFERENT = 10_000
"""Workers that are not all alike: the time for their law grows with the square of their number."""


def received_law(workers: Workers, deadlines: Floats, n_subproducts: int, work: int) -> Floats:
    """Return Pr[N(t) = N] for N = 0..W, shape (D, W + 1); every row sums to 1.

    Workers that answer independently give a Poisson-binomial law, by convolution of the binomial laws of those that are alike;
    racks are convolved likewise, each the mixture of two such laws. All are sums of positive terms, so that both tails keep their
    digits.

    Parameters
    ----------
    workers : Workers
    deadlines : (D,) float64
    n_subproducts : int
        K, which a fair load is relative to.
    work : int
        True work r of every packet.

    Raises
    ------
    ValueError
        There are too many workers that are not alike.

    Examples
    --------
    >>> from uepgpu.workers import Workers
    >>> received_law(Workers(2, omega=1.0, speeds=[1.0, 2.0]), np.array([1.0]), 9, 1).round(4).tolist()
    [[0.0498, 0.4036, 0.5466]]
    """
    if not workers.alike and workers.count > MOST_DIFFERENT:
        raise ValueError(
            f"workers: at most {MOST_DIFFERENT:,} that are not all alike have a law of N(t) here, got {workers.count:,}"
        )
    kinds, number = workers.kinds()

    def together(counts: tuple[int, ...], struck: bool | None) -> Floats:
        """Return the law of the number received of so many independent workers of every kind."""
        laws = []
        for kind, count in zip(kinds, counts, strict=True):
            if count:
                arrived = workers.arrival(deadlines, n_subproducts, work, *kind, struck=struck)
                late = workers.absence(deadlines, n_subproducts, work, *kind, struck=struck)
                laws.append(binomial(count, arrived, late, count))
        return _sum(laws)

    def of(members: NDArray[np.intp]) -> tuple[int, ...]:
        return tuple(np.bincount(number[members], minlength=len(kinds)).tolist())

    if workers.racks is None or workers.independent:
        chance = together(of(np.arange(workers.count)), False)
    else:
        racks = Counter(of(members) for members in workers.racks.members())
        struck = workers.racks.probability
        laws = [((1 - struck) * together(counts, False) + struck * together(counts, True), n) for counts, n in racks.items()]
        chance = _sum([law for law, n in laws for _ in range(n)])
    return np.asarray(chance / chance.sum(axis=1, keepdims=True))


def _sum(laws: list[Floats]) -> Floats:
    """Return the law of a sum of independent numbers, each from 0 upwards."""
    return functools.reduce(lambda a, b: convolve(a, b, a.shape[1] + b.shape[1] - 1), laws)

"""Laws that blocks are drawn from, and the integer thresholds that draws are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, instance, probability_vector
from uepgpu.gradient_coding.problem import Problem

__all__ = ["GRADIENT_NORM", "LAWS", "Law", "block_law", "check_law", "thresholds"]

Floats = NDArray[np.float64]
Law = str | Sequence[float]

GRADIENT_NORM = "gradient-norm"
LAWS = ("leverage", "uniform")
RESOLUTION = 2.0**32


def check_law(law: Law, *, names: tuple[str, ...] = LAWS) -> Law:
    """Return a law as schemes hold it: one of `names`, or a tuple of probabilities."""
    return choice("law", law, names) if isinstance(law, str) else probability_vector("law", law)


def block_law(problem: Problem, law: Law) -> Floats:
    """Return Π over blocks, shape (K,): normalised leverage scores, uniform, or the user's.

    Examples
    --------
    >>> problem = Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 1.0, 1.0, 1.0], blocks=2)
    >>> block_law(problem, "leverage").round(4).tolist()
    [0.6667, 0.3333]
    """
    instance("problem", problem, Problem)
    if isinstance(law, str) and law == "leverage":
        return np.asarray(problem.scores / problem.scores.sum())
    if isinstance(law, str) and law == "uniform":
        return np.full(problem.blocks, 1.0 / problem.blocks)
    own = np.asarray(check_law(law), dtype=np.float64)
    if own.size != problem.blocks:
        raise ValueError(f"law must have one probability per block, {problem.blocks} of them, got {own.size}")
    return np.asarray(own / own.sum())


def thresholds(law: Floats) -> tuple[NDArray[np.uint64], Floats]:
    """Return thresholds of 32-bit words, and the law that draws follow exactly: multiples of 2⁻³².

    A word stands for the block whose number is the count of thresholds <= word. Blocks of probability zero are never drawn.

    Examples
    --------
    >>> bounds, exact = thresholds(np.array([0.5, 0.25, 0.0, 0.25]))
    >>> bounds.tolist() == [2**31, 3 * 2**30, 3 * 2**30, 2**32], exact.tolist()
    (True, [0.5, 0.25, 0.0, 0.25])
    """
    sums = np.floor(np.cumsum(law) * RESOLUTION)
    # The words above a sum that rounding left short of 1 belong to the last block that may be drawn.
    sums[np.flatnonzero(law)[-1] :] = RESOLUTION
    return sums.astype(np.uint64), np.diff(sums, prepend=0.0) / RESOLUTION

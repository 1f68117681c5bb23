"""The best sizes of the importance classes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import choice, instance, integer
from uepgpu.codes import Code
from uepgpu.design.arrivals import arrivals_of, weights_of
from uepgpu.design.decoding import decoding_of, uep_code
from uepgpu.design.drawn import search
from uepgpu.design.expectation import compositions, expectation
from uepgpu.design.objective import Criterion, at_point, check_choices, named
from uepgpu.design.result import Design, candidates
from uepgpu.partition import Partition
from uepgpu.workers import Workers

__all__ = ["classes"]

Floats = NDArray[np.float64]

MOST_SPLITS = 2000
POLISHED = 8
"""Splits whose Γ is polished: those of the least objectives on a grid of Γ."""


def classes(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike,
    most: int = 3,
    objective: Literal["loss", "exceedance", "debiased"] = "loss",
    across: Literal["mean", "geometric"] = "mean",
    weights: ArrayLike | None = None,
    x: float | None = None,
) -> Design:
    """Return the partition and the code with the best class sizes and the best Γ for them.

    Classes are consecutive in the order of falling energy. All splits are tried on a grid of Γ, the best ones then
    polished.

    Parameters
    ----------
    code : ExpandingWindow or NonOverlappingWindow
        With `part` it is the baseline.
    part : Partition
        Its sub-products are classified anew.
    workers, deadlines, objective, across, weights, x
        As for :func:`gamma`.
    most : int
        Number of classes at most.

    Returns
    -------
    Design
        ``part`` and ``code`` are what was found; ``tried`` has the sizes of all splits, 0 for a class that there is not.

    Raises
    ------
    ValueError, NotImplementedError
        As for :func:`gamma`; or more splits than can be tried.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> workers = uep.Workers(30, omega=1.0, work="unit")
    >>> best = uep.design.classes(uep.codes.ExpandingWindow((0.40, 0.35, 0.25)), part, workers, deadlines=0.15)
    >>> best.part.class_sizes, [round(x, 3) for x in best.gamma], round(best.objective, 4)
    ((1, 2, 6), [0.478, 0.522, 0.0], 0.148)

    References
    ----------
    docs/mathematics.md §11.
    """
    choice("objective", objective, ("loss", "exceedance", "debiased"))
    choice("across", across, ("mean", "geometric"))
    check_choices(objective, across, None, x)
    start = uep_code(code)
    instance("part", part, Partition)
    k = part.n_subproducts
    most = integer("most", most, 1, k)
    number = sum(math.comb(k - 1, size - 1) for size in range(1, most + 1))
    if number > MOST_SPLITS:
        raise ValueError(f"most must leave at most {MOST_SPLITS:,} splits of K = {k} sub-products, got {most}: {number:,}")

    def problem(code: Code, part: Partition) -> tuple[Floats, Criterion, float]:
        decoding = decoding_of(uep_code(code), part, workers.count if isinstance(workers, Workers) else 1)
        arrivals = arrivals_of(workers, deadlines, None, decoding.work, k)
        share = weights_of(weights, arrivals.n_points)
        gamma = np.asarray(uep_code(code).gamma)
        point, chances = at_point(objective, decoding, x), expectation(decoding, arrivals)
        criterion = Criterion(across, share)
        if part is given:
            return gamma, criterion, float(criterion.scores(point.values(chances.law(gamma[None] / gamma.sum())))[0])
        found, criterion, values = search(chances, point, across, share, gamma, polish=len(tried) >= number)
        return found.gamma[0], criterion, float(criterion.scores(values)[0])

    given = part
    tried: list[tuple[float, tuple[int, ...], Floats]] = []
    baseline = problem(start, given)[2]
    order = np.argsort(-part.energy, kind="stable")

    def candidate(sizes: tuple[int, ...]) -> tuple[Code, Partition]:
        labels = np.empty(k, dtype=np.int64)
        labels[order] = np.repeat(np.arange(1, len(sizes) + 1), sizes)
        return replace(start, gamma=(1 / len(sizes),) * len(sizes), windows="drawn"), replace(part, classes=labels)

    for count in range(1, most + 1):
        for sizes in (compositions(k - count, count) + 1).tolist():
            gamma, _, value = problem(*candidate(tuple(sizes)))
            tried.append((value, tuple(sizes), gamma))
    tried.sort(key=lambda row: row[0])
    for i, (value, sizes, _) in enumerate(tried[:POLISHED]):
        gamma, _, better = problem(*candidate(sizes))
        tried[i] = min(value, better), sizes, gamma
    tried.sort(key=lambda row: row[0])
    value, sizes, gamma = tried[0]
    best, split = candidate(sizes)
    best = replace(uep_code(best), gamma=tuple(gamma.tolist()))
    times = arrivals_of(workers, deadlines, None, np.ones(1, dtype=np.int64), k).deadlines
    table = np.array([[*row, *([0] * (most - len(row)))] for _, row, _ in tried])
    listed = candidates([row[0] for row in tried], sizes=(("class",), table))
    return Design(best, split, workers, times, named(objective, across, None, x), value, value, value, baseline, listed)

"""The best sizes of the importance classes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import choice, deadlines_array, instance, integer
from uepgpu.codes import Code
from uepgpu.design.arrivals import arrivals_of, weights_of
from uepgpu.design.decoding import UEPCode, decoding_of, uep_code
from uepgpu.design.drawn import search
from uepgpu.design.expectation import compositions, expectation
from uepgpu.design.objective import at_point, check_choices, named
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

    def best(code: UEPCode, part: Partition, *, polish: bool) -> tuple[float, Floats, float]:
        """Return the least objective, its Γ, and the objective of the given Γ."""
        decoding = decoding_of(code, part, workers.count if isinstance(workers, Workers) else 1)
        arrivals = arrivals_of(workers, deadlines, None, decoding.work, k, drawn=True)
        share, given = weights_of(weights, arrivals.n_points), np.asarray(code.gamma) / sum(code.gamma)
        chances = expectation(decoding, arrivals)
        found, criterion, values = search(chances, at_point(objective, decoding, x), across, share, given, polish=polish)
        value, baseline = criterion.scores(values).tolist()
        return value, found.gamma[0], baseline

    baseline = best(start, part, polish=False)[2]
    order = np.argsort(-part.energy, kind="stable")

    def candidate(sizes: tuple[int, ...]) -> tuple[UEPCode, Partition]:
        labels = np.empty(k, dtype=np.int64)
        labels[order] = np.repeat(np.arange(1, len(sizes) + 1), sizes)
        return replace(start, gamma=(1 / len(sizes),) * len(sizes), windows="drawn"), replace(part, classes=labels)

    splits = [tuple(row) for count in range(1, most + 1) for row in (compositions(k - count, count) + 1).tolist()]
    tried = sorted(((*best(*candidate(sizes), polish=False)[:2], sizes) for sizes in splits), key=lambda row: row[0])
    polished = [(*best(*candidate(sizes), polish=True)[:2], sizes) for *_, sizes in tried[:POLISHED]]
    tried = sorted([*polished, *tried[POLISHED:]], key=lambda row: row[0])
    value, gamma, sizes = tried[0]
    code, split = candidate(sizes)
    code = replace(code, gamma=tuple(gamma.tolist()))
    times = deadlines_array(deadlines)
    table = np.array([[*row, *([0] * (most - len(row)))] for *_, row in tried])
    listed = candidates([row[0] for row in tried], sizes=(("class",), table))
    return Design(code, split, workers, times, named(objective, across, None, x), value, value, value, baseline, listed)

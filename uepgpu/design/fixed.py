"""The best numbers of workers per window, where each worker has its window once and for all."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.codes import Code
from uepgpu.codes.supports import largest_remainders
from uepgpu.design.arrivals import Arrivals, arrivals_of, weights_of
from uepgpu.design.decoding import Decoding, decoding_of, uep_code
from uepgpu.design.expectation import compositions, expectation
from uepgpu.design.objective import Across, Criterion, Objective, at_point, check_choices, exceeds, named, quantiles
from uepgpu.design.result import Design, candidates
from uepgpu.partition import Partition
from uepgpu.theory.arrays import binomial
from uepgpu.workers import Workers

__all__ = ["fixed_windows"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_WORK = 2**29
"""Probabilities that are added up at most: seconds."""
CHUNK = 1 << 22


def fixed_windows(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike,
    objective: Objective = "loss",
    across: Across = "mean",
    weights: ArrayLike | None = None,
    q: float | None = None,
    x: float | None = None,
) -> Design:
    """Return the code with the best fixed number of workers for every window: the best of all allocations.

    Parameters
    ----------
    code : ExpandingWindow or NonOverlappingWindow
        As it is given, drawn or fixed, it is the baseline.
    part, workers, deadlines, objective, across, weights, q, x
        As for :func:`gamma`.

    Returns
    -------
    Design
        Its code has ``windows="fixed"`` and Γ in steps of 1/W; ``tried`` has all allocations, ``workers`` over
        (candidate, window).

    Raises
    ------
    ValueError
        As for :func:`gamma`; or more allocations than can be tried.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
    >>> best = uep.design.fixed_windows(code, part, uep.Workers(30, omega=1.0, work="unit"), deadlines=0.6)
    >>> best.tried.workers[0].values.tolist(), f"{best.objective:.5g}", best.tried.sizes["candidate"]
    ([14, 16, 0], '0.0024993', 496)

    References
    ----------
    docs/mathematics.md §11.
    """
    check_choices(objective, across, q, x)
    start = uep_code(code)
    decoding = decoding_of(start, part, workers.count if isinstance(workers, Workers) else 1)
    arrivals = arrivals_of(workers, deadlines, None, decoding.work, part.n_subproducts)
    share = weights_of(weights, arrivals.n_points)
    n = workers.count
    caps = np.minimum(_enough(decoding), n)
    number = math.comb(n + decoding.work.size - 1, decoding.work.size - 1)
    if number * math.prod((caps + 1).tolist()) * arrivals.n_points > MOST_WORK:
        raise ValueError(
            f"workers and classes must make few enough allocations to try all, got W = {n} and {decoding.work.size} windows, "
            f"{number:,} allocations"
        )
    allocations = compositions(n, decoding.work.size)
    law = _law(decoding, arrivals, allocations, caps)
    gamma = np.asarray(start.gamma)
    if start.windows == "fixed":
        given = _law(decoding, arrivals, largest_remainders(gamma, n)[None], caps)
    else:
        given = expectation(decoding, arrivals).law(gamma[None] / gamma.sum())
    if objective == "quantile":
        assert q is not None
        mixed, loss = np.tensordot(law, share, axes=(1, 0)), decoding.loss
        values = quantiles(mixed, loss, q)
        beyond = mixed @ exceeds(loss, float(values.min()))
        order = np.lexsort((beyond, values))
        baseline = float(quantiles(np.tensordot(given, share, axes=(1, 0)), loss, q)[0])
    else:
        point = at_point(objective, decoding, x)
        found = point.values(law)
        criterion = Criterion(across, share, found.min(axis=0) if across == "minimax" else None)
        values = criterion.scores(found)
        order = np.argsort(values, kind="stable")
        baseline = float(criterion.scores(point.values(given))[0])
    best = replace(start, gamma=tuple((allocations[order[0]] / n).tolist()), windows="fixed")
    value = float(values[order[0]])
    tried = candidates(values[order], workers=(("window",), allocations[order]))
    return Design(best, part, workers, arrivals.deadlines, named(objective, across, q, x), value, value, value, baseline, tried)


def _enough(decoding: Decoding) -> Ints:
    """Return how many packets of every window can matter, shape (L,)."""
    needed = decoding.sizes if decoding.kind == "disjoint" else np.cumsum(decoding.sizes)
    return np.asarray(needed[decoding.unit_of_window])


def _law(decoding: Decoding, arrivals: Arrivals, allocations: Ints, caps: Ints) -> Floats:
    """Return the probabilities of the outcomes, shape (allocations, points, O); counts above a cap are put at it."""
    windows, most = caps.size, int(allocations.max())
    counts = np.array(list(itertools.product(*(range(cap + 1) for cap in caps.tolist()))), dtype=np.int64)
    hot = np.eye(len(decoding.undecoded))[decoding.outcome(counts)]
    result = np.empty((len(allocations), arrivals.n_points, hot.shape[1]))
    step = max(CHUNK // len(counts), 1)
    for point in range(arrivals.n_points):
        tables = []
        for window in range(windows):
            arrived, late = (side[point, 0, window] for side in (arrivals.arrived, arrivals.late))
            table = np.zeros((most + 1, caps[window] + 1))  # over allocated workers and counts
            for size in range(most + 1):
                row = binomial(size, np.array([arrived]), np.array([late]), size)[0]
                kept = row[: caps[window] + 1]
                table[size, : kept.size] = kept
                table[size, caps[window]] += row[kept.size :].sum()
            tables.append(table)
        for start in range(0, len(allocations), step):
            some = allocations[start : start + step]
            product = np.ones((len(some), 1))
            for window, table in enumerate(tables):
                product = (product[:, :, None] * table[some[:, window]][:, None]).reshape(len(some), -1)
            result[start : start + step, point] = product @ hot
    return result

"""The best Γ of drawn windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.codes import Code
from uepgpu.design.arrivals import arrivals_of, weights_of
from uepgpu.design.decoding import decoding_of, uep_code
from uepgpu.design.expectation import Expectation, expectation
from uepgpu.design.objective import (
    Across,
    AtPoint,
    Criterion,
    Linear,
    Objective,
    at_point,
    check_choices,
    exceeds,
    named,
    quantiles,
)
from uepgpu.design.result import Design, candidates
from uepgpu.design.simplex import Found, least
from uepgpu.partition import Partition
from uepgpu.workers import Workers

__all__ = ["gamma", "search"]

Floats = NDArray[np.float64]

MOST = 1e300
"""Stands for an infinite objective in a line search."""


def gamma(
    code: Code,
    part: Partition,
    workers: Workers | None = None,
    *,
    deadlines: ArrayLike | None = None,
    received: ArrayLike | None = None,
    objective: Objective = "loss",
    across: Across = "mean",
    weights: ArrayLike | None = None,
    q: float | None = None,
    x: float | None = None,
) -> Design:
    """Return the code with the best window selection probabilities Γ.

    The search is global: objectives are not convex in Γ, so that all vertices and a grid of the simplex come first, then
    descents with exact derivatives on its faces.

    Parameters
    ----------
    code : ExpandingWindow or NonOverlappingWindow
        Windows are drawn; its own Γ is the baseline.
    part : Partition
    workers : Workers
        All alike.
    deadlines : array_like of float, shape (points,)
        One or several times.
    received : array_like of float, shape (W + 1,) or (points, W + 1), optional
        Instead of `workers` and `deadlines`: Pr[N packets have arrived], N = 0..W. So Γ can be designed under any law of
        arrivals that does not depend on the windows, such as racks that fail together.
    objective : "loss", "quantile", "exceedance" or "debiased"
        The expected normalised loss; its `q` quantile; Pr[loss > `x`]; the normalised variance of the unbiased estimate
        that divides what is decoded by its probability.
    across : "mean", "geometric" or "minimax"
        What is minimised over several deadlines: the mean, the geometric mean, or the largest ratio to the least
        objective that any Γ has at that deadline alone.
    weights : array_like of float, shape (points,), optional
        Weights of deadlines in means, >= 0. Default: equal.
    q, x : float, optional
        Of the two objectives that need them.

    Returns
    -------
    Design
        With the exact objective; ``tried`` has variables ``gamma`` over (candidate, window) and ``how``.

    Raises
    ------
    ValueError
        Bad arguments, or a product of norm 0.
    NotImplementedError
        Codes and workers whose decoded classes do not follow from counts of arrived packets.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
    >>> best = uep.design.gamma(code, part, uep.Workers(30, omega=1.0, work="unit"), deadlines=0.6)
    >>> [round(x, 4) for x in best.gamma], f"{best.objective:.5g}, not {best.baseline:.5g}"
    ([0.3852, 0.6148, 0.0], '0.0025838, not 0.0099174')

    References
    ----------
    docs/mathematics.md §11.
    """
    check_choices(objective, across, q, x)
    start = uep_code(code)
    decoding = decoding_of(start, part, workers.count if isinstance(workers, Workers) else 1)
    arrivals = arrivals_of(workers, deadlines, received, decoding.work, part.n_subproducts, drawn=True)
    share = weights_of(weights, arrivals.n_points)
    chances = expectation(decoding, arrivals)
    given = np.asarray(start.gamma) / sum(start.gamma)
    if objective == "quantile":
        assert q is not None
        return _quantile(start, part, workers, chances, share, given, q)
    found, criterion, values = search(chances, at_point(objective, decoding, x), across, share, given)
    value, baseline = criterion.scores(values)
    return _design(start, part, workers, chances, found, named(objective, across, q, x), float(value), float(baseline))


@dataclass(frozen=True, eq=False)
class _Score:
    """The score of Γ, as a search needs it."""

    chances: Expectation
    point: AtPoint
    criterion: Criterion
    cost: Floats | None = None  # (L,): what Γ costs besides, added to a mean

    def many(self, gammas: Floats) -> Floats:
        scores = self.criterion.terms(self.point.values(self.chances.law(gammas))).max(axis=-1)
        return np.asarray(scores if self.cost is None else np.log(np.exp(scores) + gammas @ self.cost))

    def terms(self, gamma: Floats) -> tuple[Floats, Floats]:
        law = self.chances.law(gamma[None])[0]
        values = np.minimum(self.point.values(law), MOST)
        slopes = self.criterion.slopes(values, self.point.gradient(law, self.chances.gradient(gamma)))
        terms = self.criterion.terms(values)
        if self.cost is None:
            return terms, slopes
        total = np.exp(terms) + gamma @ self.cost
        return np.log(total), (np.exp(terms)[:, None] * slopes + self.cost) / total[:, None]


def search(
    chances: Expectation,
    point: AtPoint,
    across: Across,
    weights: Floats,
    given: Floats,
    *,
    polish: bool = True,
    cost: Floats | None = None,
) -> tuple[Found, Criterion, Floats]:
    """Return what was tried, the criterion, and the objectives of the best and of the given Γ, shape (2, points)."""
    best = None
    if across == "minimax":
        alone = np.eye(weights.size)
        best = np.array(
            [float(np.exp(least(_Score(chances, point, Criterion("mean", w)), given.size, given).score[0])) for w in alone]
        )
    criterion = Criterion(across, weights, best)
    found = least(_Score(chances, point, criterion, cost), given.size, given, polish=polish)
    return found, criterion, point.values(chances.law(np.stack([found.gamma[0], given])))


def _quantile(
    code: Any, part: Partition, workers: Workers | None, chances: Expectation, weights: Floats, given: Floats, q: float
) -> Design:
    """Minimise a quantile: find the least loss x with Pr[loss > x] <= 1 - q for some Γ, and there the least probability."""
    losses = np.unique(chances.decoding.loss)
    for loss in losses:
        point = Linear(exceeds(chances.decoding.loss, float(loss)))
        found, _, values = search(chances, point, "mean", weights, given)
        if values[0] @ weights <= 1 - q:
            break
    law = np.tensordot(chances.law(given[None]), weights, axes=(1, 0))
    baseline = float(quantiles(law, chances.decoding.loss, q)[0])
    what = named("quantile", "mean", q, None)
    return _design(code, part, workers, chances, found, what, min(float(loss), baseline), baseline)


def _design(
    code: Any,
    part: Partition,
    workers: Workers | None,
    chances: Expectation,
    found: Found,
    what: str,
    value: float,
    baseline: float,
) -> Design:
    best = replace(code, gamma=tuple(found.gamma[0].tolist()), windows="drawn")
    tried = candidates(np.exp(found.score), gamma=(("window",), found.gamma), how=found.how)
    return Design(best, part, workers, chances.arrivals.deadlines, what, value, value, value, baseline, tried)

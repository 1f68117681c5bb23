"""The curve of a point: its simulated loss with intervals, and the exact loss where there is a closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uepgpu import theory
from uepgpu.results.simulated import loss_of
from uepgpu.tally import Trajectories

if TYPE_CHECKING:
    from uepgpu.points.point import Point
    from uepgpu.results.simulated import Simulated

__all__ = ["LEVELS", "Curve", "curve_of", "exact_loss"]

Floats = NDArray[np.float64]
ROUNDING = 1e-12
LEVELS = (0.5, 0.9, 0.99)
"""Levels of the quantiles of the loss that tables give."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Loss against deadline of one point; of trajectories the mean over rounds.

    Attributes
    ----------
    point : Point
    realizations : int
        How many were finished.
    domain, backend : str
        What simulated it.
    loss, loss_stderr, loss_low, loss_high : (D,) float64
        E‖C − Ĉ‖², its standard error and its 95 % interval.
    normalized, normalized_stderr, normalized_low, normalized_high : (D,) float64
        The same over ‖C‖².
    exact : (D,) float64 or None
        The normalized loss in closed form; None where there is none.
    sd : (D,) float64 or None
        Standard deviation of the normalized loss of one realization, or trajectory; None for realizations of codes that do not
        decode class by class.
    quantiles : (D, 3) float64 or None
        Quantiles of the loss of one realization at :data:`LEVELS`; None likewise, and for trajectories.
    """

    point: Point
    realizations: int
    domain: str
    backend: str
    loss: Floats
    loss_stderr: Floats
    loss_low: Floats
    loss_high: Floats
    normalized: Floats
    normalized_stderr: Floats
    normalized_low: Floats
    normalized_high: Floats
    exact: Floats | None
    sd: Floats | None = None
    quantiles: Floats | None = None

    @property
    def deadlines(self) -> Floats:
        """The deadlines, shape (D,)."""
        return np.asarray(self.point.deadlines)

    def worst_deviation(self) -> float | None:
        """Return how far the exact loss is from the simulated one where that is most; None without an exact loss.

        The unit is the half of the 95 % interval on that side: 1 is its end, so that about one deadline in twenty is beyond it. The
        interval knows of failures that have not been seen, the standard error does not. Where it has no width the exact loss is in
        it, 0, or infinitely far.
        """
        if self.exact is None:
            return None
        distance = np.maximum(np.abs(self.normalized - self.exact) - ROUNDING, 0.0)
        above = self.exact > self.normalized
        half = np.where(above, self.normalized_high - self.normalized, self.normalized - self.normalized_low)
        # Rounding alone is no width.
        width = half > ROUNDING * np.abs(self.normalized)
        beyond = np.where(distance > 0, np.inf, 0.0)
        return float(np.max(np.where(width, distance / np.where(width, half, 1.0), beyond)))


def exact_loss(point: Point) -> Floats | None:
    """Return the exact normalized loss at the point's deadlines, shape (D,); None where there is no closed form."""
    try:
        dataset = theory.loss(point.code, point.part, point.workers, deadlines=point.deadlines)
    except NotImplementedError:
        return None
    return np.asarray(dataset["normalized_loss"].values, dtype=np.float64)


def curve_of(result: Simulated, exact: Callable[[Point], Floats | None] = exact_loss) -> Curve:
    """Return the curve of a point with its tally; `exact` may know its exact loss already."""
    point, tally = result.point, result.tally
    options: dict[str, Any] = {"workers": point.workers, "deadlines": point.deadlines} if tally.domain == "count" else {}
    dataset = loss_of(result, **options)
    sd, quantiles = None, None
    if isinstance(tally, Trajectories):
        sd = np.asarray(dataset["normalized_loss_sd"].values, dtype=np.float64)
    elif tally.class_wise:
        sd = np.asarray(tally.loss_sd(point.part, **options)["normalized_loss_sd"].values, dtype=np.float64)
        found = tally.loss_quantile(point.part, LEVELS, **options)
        quantiles = np.asarray(found["normalized_loss"].values, dtype=np.float64)

    def values(name: str) -> Floats:
        return np.asarray(dataset[name].values, dtype=np.float64)

    return Curve(
        point,
        tally.realizations,
        tally.domain,
        tally.backend,
        loss=values("loss"),
        loss_stderr=values("loss_stderr"),
        loss_low=values("loss_low"),
        loss_high=values("loss_high"),
        normalized=values("normalized_loss"),
        normalized_stderr=values("normalized_loss_stderr"),
        normalized_low=values("normalized_loss_low"),
        normalized_high=values("normalized_loss_high"),
        exact=exact(point),
        sd=sd,
        quantiles=quantiles,
    )

"""The curve of a point: its simulated loss with intervals, and the exact loss where there is a closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu import theory

if TYPE_CHECKING:
    from uepgpu.points.point import Point
    from uepgpu.results.simulated import Simulated

__all__ = ["Curve", "curve_of", "exact_loss"]

Floats = NDArray[np.float64]
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Curve:
    """Loss against deadline of one point.

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

    @property
    def deadlines(self) -> Floats:
        """The deadlines, shape (D,)."""
        return np.asarray(self.point.deadlines)

    def worst_deviation(self) -> float | None:
        """Return the greatest |simulated − exact| over the deadlines in standard errors; None without an exact loss.

        Where no loss was observed to vary there is no standard error. Such a deadline counts as agreement if the exact
        loss lies in the interval, else as infinitely far.
        """
        if self.exact is None:
            return None
        distance = np.maximum(np.abs(self.normalized - self.exact) - ROUNDING, 0.0)
        inside = (self.normalized_low - ROUNDING <= self.exact) & (self.exact <= self.normalized_high + ROUNDING)
        constant = np.where(inside, 0.0, np.inf)
        errors = self.normalized_stderr
        return float(np.max(np.where(errors > 0, distance / np.where(errors > 0, errors, 1.0), constant)))


def exact_loss(point: Point) -> Floats | None:
    """Return the exact normalized loss at the point's deadlines, shape (D,); None where there is no closed form."""
    try:
        dataset = theory.loss(point.code, point.part, point.workers, deadlines=point.deadlines)
    except NotImplementedError:
        return None
    return np.asarray(dataset["normalized_loss"].values, dtype=np.float64)


def curve_of(result: Simulated) -> Curve:
    """Return the curve of a point with its tally."""
    point, tally = result.point, result.tally
    if tally.domain == "count":
        dataset = tally.loss(point.part, workers=point.workers, deadlines=point.deadlines)
    else:
        dataset = tally.loss(point.part)

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
        exact=exact_loss(point),
    )

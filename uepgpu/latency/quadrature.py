"""Sums of two independent times: the distribution function of one, averaged over the other (docs/mathematics.md §4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uepgpu.latency.continuous import Exponential, LogNormal, Pareto, Weibull
from uepgpu.latency.law import Floats, Latency

__all__ = ["GAUSS", "KRONROD", "NODES", "Measure", "average", "measure_of"]

PANEL_ERROR = 2.0**-44
"""What a panel may be wrong by: with at most :data:`MOST_PANELS` of them a point is right within 2^-33."""
MOST_PANELS = 2**11
ROUNDS = 64
"""Halvings: a panel is then narrower than the spacing of float64."""
FIRST_PANELS = 4

_HALF = np.array(
    [
        *(0.991455371120812639206854697526329, 0.949107912342758524526189684047851, 0.864864423359769072789712788640926),
        *(0.741531185599394439863864773280788, 0.586087235467691130294144691693120, 0.405845151377397166906606412076961),
        *(0.207784955007898467600689403773245, 0.000000000000000000000000000000000),
    ]
)
_KRONROD = np.array(
    [
        *(0.022935322010529224963732008058970, 0.063092092629978553290700663189204, 0.104790010322250183839876322541518),
        *(0.140653259715525918745189590510238, 0.169004726639267902826583426598550, 0.190350578064785409913256402421014),
        *(0.204432940075298892414161999234649, 0.209482141084727828012999174891714),
    ]
)
_GAUSS = np.array(
    [
        *(0.129484966168869693270611432679082, 0.279705391489276667901467771423780),
        *(0.381830050505118944950369775488975, 0.417959183673469387755102040816327),
    ]
)
NODES = np.concatenate([-_HALF, _HALF[-2::-1]])
KRONROD = np.concatenate([_KRONROD, _KRONROD[-2::-1]])
GAUSS = np.zeros(15)
GAUSS[1::2] = np.concatenate([_GAUSS, _GAUSS[-2::-1]])
"""The rules of 15 and 7 nodes of QUADPACK (Piessens et al. 1983): their difference bounds the error."""


@dataclass(frozen=True)
class Measure:
    """A law as a smooth function of a variable y of known density, on which it can be averaged over.

    Attributes
    ----------
    value : callable
        The time at y, increasing.
    place : callable
        The y of a time > 0.
    density : callable
    low, high : float
        Beyond them there is less than 1e-18.
    """

    value: Callable[[Floats], Floats]
    place: Callable[[Floats], Floats]
    density: Callable[[Floats], Floats]
    low: float
    high: float


def measure_of(law: Latency) -> Measure | None:
    """Return the measure of a law of the library that has a density without a shift, or None."""
    if isinstance(law, LogNormal):
        mu, sigma = law.mu, law.sigma

        def normal(y: Floats) -> Floats:
            return np.asarray(np.exp(-0.5 * y**2) / np.sqrt(2 * np.pi))

        return Measure(lambda y: np.exp(mu + sigma * y), lambda t: (np.log(t) - mu) / sigma, normal, -9.0, 9.0)
    if not isinstance(law, Exponential | Weibull | Pareto):
        return None
    # y is the cumulative hazard, which is an exponential variable: smooth wherever its inverse is.
    if isinstance(law, Exponential):
        rate = law.rate
        inverse: Callable[[Floats], Floats] = lambda y: y / rate  # noqa: E731
    elif isinstance(law, Weibull):
        scale, power = law.scale, 1 / law.shape
        inverse = lambda y: scale * y**power  # noqa: E731
    else:
        least, shape = law.scale, law.shape
        inverse = lambda y: least * np.exp(y / shape)  # noqa: E731
    return Measure(inverse, law._hazard, lambda y: np.exp(-y), 0.0, 42.0)


def average(function: Callable[[NDArray[np.intp], Floats], Floats], measure: Measure, upper: Floats) -> Floats:
    """Return the integral of `function`(point, time) over times below `upper`, by the measure, shape (points,).

    Adaptive Gauss-Kronrod quadrature: panels are halved until each is wrong by less than 2^-44, so that steps and kinks are
    closed in on.

    Raises
    ------
    ValueError
        A point needs too many panels.
    """
    high = np.full(upper.shape, measure.low)
    with np.errstate(divide="ignore"):
        high[upper > 0] = np.clip(measure.place(upper[upper > 0]), measure.low, measure.high)
    edges = np.linspace(measure.low, high, FIRST_PANELS + 1)
    point = np.tile(np.arange(upper.size), FIRST_PANELS)
    left, right = edges[:-1].ravel(), edges[1:].ravel()
    result, used = np.zeros(upper.size), np.zeros(upper.size, dtype=np.int64)
    for attempt in range(ROUNDS):
        half = (right - left) / 2
        y = (left + half)[:, None] + half[:, None] * NODES
        values = function(point, measure.value(y)) * measure.density(y)
        whole = half * (values @ KRONROD)
        done = (np.abs(whole - half * (values @ GAUSS)) <= PANEL_ERROR) | (attempt == ROUNDS - 1)
        np.add.at(result, point[done], whole[done])
        np.add.at(used, point, 1)
        if used.max() > MOST_PANELS:
            raise ValueError(
                f"a law has too many steps to be averaged over within 2^-33: more than {MOST_PANELS} panels at one time"
            )
        point, left, right, half = point[~done], left[~done], right[~done], half[~done]
        if not point.size:
            break
        middle = left + half
        point, left, right = np.tile(point, 2), np.concatenate([left, middle]), np.concatenate([middle, right])
    return result

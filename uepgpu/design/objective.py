"""What a design minimises: a function of the probabilities of the outcomes at every deadline, and of all deadlines together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, positive, probability, shown
from uepgpu.design.decoding import Decoding

__all__ = [
    *("ACROSS", "OBJECTIVES", "Across", "AtPoint", "Criterion", "Debiased", "Linear", "Objective"),
    *("at_point", "check_choices", "exceeds", "named", "quantiles"),
]

Floats = NDArray[np.float64]
Objective = Literal["loss", "quantile", "exceedance", "debiased"]
Across = Literal["mean", "geometric", "minimax"]
OBJECTIVES = ("loss", "quantile", "exceedance", "debiased")
ACROSS = ("mean", "geometric", "minimax")
LEAST = 1e-300
"""Objectives are compared by their logarithms, which must be finite."""


class AtPoint(ABC):
    """An objective at one deadline."""

    @abstractmethod
    def values(self, law: Floats) -> Floats:
        """Return it for probabilities of the outcomes, shapes (…, O) and (…)."""

    @abstractmethod
    def gradient(self, law: Floats, slope: Floats) -> Floats:
        """Return its derivatives, shape (points, L), for probabilities (points, O) and their derivatives (points, O, L)."""


@dataclass(frozen=True, eq=False)
class Linear(AtPoint):
    """An expectation Σ_o p_o f_o."""

    value: Floats  # (O,)

    def values(self, law: Floats) -> Floats:
        """Return Σ_o p_o f_o."""
        return np.asarray(law @ self.value)

    def gradient(self, law: Floats, slope: Floats) -> Floats:
        """Return Σ_o f_o ∂p_o."""
        return np.asarray(np.einsum("dol,o->dl", slope, self.value))


@dataclass(frozen=True, eq=False)
class Debiased(AtPoint):
    """Normalised variance of Σ_u 1[unit u decoded] X_u / P_u, an unbiased estimate of C.

    It is Σ_uv G_uv (B_uv - Q_u Q_v) / (P_u P_v), with B_uv = Pr[u and v both undecoded] and Q_u = B_uu = 1 - P_u; with a
    diagonal Gram matrix Σ_u G_uu (1/P_u - 1). A unit of energy that is never decoded makes it infinite.
    """

    decoding: Decoding

    def _parts(self) -> tuple[Floats, Floats, Floats]:
        used = np.diagonal(self.decoding.gram) > 0
        undecoded = self.decoding.undecoded[:, used].astype(np.float64)
        both = undecoded[:, :, None] * undecoded[:, None, :]
        return undecoded, both, self.decoding.gram[np.ix_(used, used)]

    def values(self, law: Floats) -> Floats:
        """Return the variance."""
        undecoded, both, gram = self._parts()
        q, p, b = law @ undecoded, law @ (1.0 - undecoded), np.tensordot(law, both, axes=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (b - q[..., :, None] * q[..., None, :]) / (p[..., :, None] * p[..., None, :])
            ratio = np.where(np.eye(len(gram), dtype=np.bool_), (q / p)[..., None], ratio)
            terms = np.where(gram == 0, 0.0, gram * ratio)
            total = terms.sum(axis=(-2, -1))
        return np.where((p > 0).all(axis=-1), total, np.inf)

    def gradient(self, law: Floats, slope: Floats) -> Floats:
        """Return its derivatives."""
        undecoded, both, gram = self._parts()
        # Where a unit is never decoded the value is infinite; a tiny P says so to a line search, without a division by 0.
        q, p, b = law @ undecoded, np.maximum(law @ (1.0 - undecoded), 1e-100), np.tensordot(law, both, axes=1)
        dp = np.einsum("dol,ou->dul", slope, 1.0 - undecoded)
        db = np.einsum("dol,ouv->duvl", slope, both)
        pp = p[:, :, None] * p[:, None, :]
        ratio = (b - q[:, :, None] * q[:, None, :]) / pp
        cross = dp[:, :, None] * q[:, None, :, None] + q[:, :, None, None] * dp[:, None]
        relative = (dp / p[:, :, None])[:, :, None] + (dp / p[:, :, None])[:, None]
        terms = (db + cross) / pp[..., None] - ratio[..., None] * relative
        unit = np.arange(len(gram))
        terms[:, unit, unit] = -dp / p[:, :, None] ** 2  # of 1/P - 1
        return np.asarray(np.einsum("uv,duvl->dl", gram, terms))


@dataclass(frozen=True, eq=False)
class Criterion:
    """Objectives at several deadlines as one score to be minimised: the largest of some terms, each a logarithm.

    Attributes
    ----------
    across : "mean", "geometric" or "minimax"
    weights : (points,) float64
    best : (points,) float64
        Of minimax regret: the least objective at every deadline.
    """

    across: Across
    weights: Floats
    best: Floats | None = None

    def terms(self, values: Floats) -> Floats:
        """Return the terms, shapes (…, points) and (…, terms)."""
        values = np.maximum(values, LEAST)
        if self.across == "mean":
            return np.asarray(np.log(values @ self.weights)[..., None])
        if self.across == "geometric":
            return np.asarray(np.log(values) @ self.weights)[..., None]
        assert self.best is not None
        return np.asarray(np.log(values) - np.log(np.maximum(self.best, LEAST)))

    def slopes(self, values: Floats, gradient: Floats) -> Floats:
        """Return the derivatives of the terms, shape (terms, L), from values (points,) and derivatives (points, L)."""
        relative = gradient / np.maximum(values, LEAST)[:, None]
        if self.across == "mean":
            return np.asarray((self.weights @ gradient / max(float(values @ self.weights), LEAST))[None])
        return relative if self.across == "minimax" else np.asarray((self.weights @ relative)[None])

    def scores(self, values: Floats) -> Floats:
        """Return what is reported: the mean, the geometric mean or the largest ratio, shape (…)."""
        if self.across == "mean":
            return np.asarray(values @ self.weights)
        return np.asarray(np.exp(self.terms(values).max(axis=-1)))


def check_choices(objective: Any, across: Any, q: Any, x: Any) -> None:
    """Refuse unknown objectives, and levels that are missing or of another objective."""
    choice("objective", objective, OBJECTIVES)
    choice("across", across, ACROSS)
    if (objective == "quantile") != (q is not None):
        raise ValueError(f"q must be given for objective='quantile' and only then, got q={shown(q)} with objective={objective!r}")
    if (objective == "exceedance") != (x is not None):
        raise ValueError(f"x must be given for objective='exceedance' and only then, got x={shown(x)} with objective={objective!r}")
    if q is not None:
        probability("q", q, zero=False, one=False)
        if across != "mean":
            raise ValueError(f"across must be 'mean' for objective='quantile': that of a deadline drawn by weights, got {across!r}")
    if x is not None:
        positive("x", x, zero=True)


def at_point(objective: str, decoding: Decoding, x: float | None) -> AtPoint:
    """Return the objective; ``"quantile"`` is none by itself."""
    if objective == "debiased":
        return Debiased(decoding)
    loss = decoding.loss
    if objective == "loss":
        return Linear(loss)
    assert x is not None
    return Linear(exceeds(loss, x))


def exceeds(loss: Floats, x: float) -> Floats:
    """Return 1 where a loss is above x by more than rounding."""
    return (loss > x * (1 + 1e-12)).astype(np.float64)


def named(objective: str, across: str, q: float | None, x: float | None) -> str:
    """Return what people call an objective."""
    what = {
        "loss": "loss",
        "quantile": f"{q} quantile of the loss",
        "exceedance": f"Pr[loss > {x}]",
        "debiased": "variance of debiased estimates",
    }[objective]
    return {"mean": "", "geometric": "geometric mean of ", "minimax": "minimax regret of "}[across] + what


def quantiles(law: Floats, loss: Floats, q: float) -> Floats:
    """Return the least loss x with Pr[loss <= x] >= q, shapes (n, O) and (n,)."""
    order = np.argsort(loss, kind="stable")
    below = np.cumsum(law[:, order], axis=1)
    reached = (below < q * (1 - 1e-12)).sum(axis=1)
    return np.asarray(loss[order][np.minimum(reached, loss.size - 1)])

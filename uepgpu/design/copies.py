"""The best unequal repetition: how many copies of every sub-product, or how likely a worker computes it."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import choice, instance
from uepgpu.codes import Code, Repetition, Windows
from uepgpu.codes.supports import largest_remainders
from uepgpu.design.arrivals import arrivals_of, weights_of
from uepgpu.design.result import Design, candidates
from uepgpu.partition import Partition
from uepgpu.workers import Workers

__all__ = ["repetition"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEVER = 1e250
"""Variance of the unbiased estimate of what is never computed."""
SPAN = 700.0
"""Of the logarithm of μ: beyond it floats underflow."""
HALVINGS = 100
"""Bisections end at neighbouring floats well before."""


def repetition(
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike,
    copies: Literal["drawn", "fixed"] = "drawn",
    objective: Literal["loss", "debiased"] = "loss",
    weights: ArrayLike | None = None,
) -> Design:
    """Return the best unequal repetition: every worker computes one sub-product, important ones more often.

    Both problems are convex, and solved exactly: drawn sub-products by bisection on the common gain of probability, fixed
    copies by giving each to where it gains most.

    Parameters
    ----------
    part : Partition
        Without cross terms between sub-products, as every rxc product is.
    workers : Workers
        All alike.
    deadlines : array_like of float, shape (points,)
    copies : "drawn" or "fixed"
        Every worker draws its sub-product, or c_k workers have sub-product k.
    objective : "loss" or "debiased"
        As for :func:`gamma`.
    weights : array_like of float, shape (points,), optional
        Weights of the deadlines, whose mean objective is minimised. Default: equal.

    Returns
    -------
    Design
        Its code is a :class:`codes.Windows` of single sub-products, or a :class:`codes.Repetition`. The baseline, which is
        all that was tried besides, has equal probabilities, or copies as equal as can be.

    Raises
    ------
    ValueError
        Bad arguments, or cross terms.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> best = uep.design.repetition(part, uep.Workers(30, omega=1.0), deadlines=0.45, copies="fixed")
    >>> best.code.copies, round(best.objective, 6)
    ((12, 7, 2, 7, 1, 0, 1, 0, 0), 0.025976)

    References
    ----------
    docs/mathematics.md §11.
    """
    instance("part", part, Partition)
    choice("copies", copies, ("drawn", "fixed"))
    choice("objective", objective, ("loss", "debiased"))
    if not part.norm2 > 0:
        raise ValueError(f"part must have a product other than 0, got ‖C‖² = {part.norm2:g}")
    if np.any(part.gram != np.diag(part.energy)):
        raise ValueError(
            "part must have no cross terms between sub-products, got the Gram matrix of a cxr product with some: "
            "the best copies are known for sums of energies only"
        )
    arrivals = arrivals_of(workers, deadlines, None, np.ones(1, dtype=np.int64), part.n_subproducts)
    share = weights_of(weights, arrivals.n_points)
    energy, k, n = part.energy / part.norm2, part.n_subproducts, workers.count
    arrived, late = arrivals.arrived[:, 0, 0], arrivals.late[:, 0, 0]
    code: Code
    if copies == "drawn":
        equal: Any = np.full(k, 1 / k)
        found: Any = _water_filled(energy, arrived, share, n, objective)
        code = Windows([[i] for i in range(k)], tuple((found / found.sum()).tolist()), work=1)
        lost = [(1.0 - shares[:, None] * arrived) ** n for shares in (found, equal)]
    else:
        equal = largest_remainders(np.full(k, 1 / k), n)
        found = _greedy(energy, late, share, n, objective)
        code = Repetition(tuple(found.tolist()))
        lost = [late ** numbers[:, None] for numbers in (found, equal)]
    value, baseline = (float(energy @ _per_item(q, objective) @ share) for q in lost)
    value, baseline = (math.inf if total > NEVER / 1e50 else total for total in (value, baseline))
    name = "loss" if objective == "loss" else "variance of debiased estimates"
    tried = candidates(
        [value, baseline], **{"copies" if copies == "fixed" else "share": (("subproduct",), np.stack([found, equal]))}
    )
    return Design(code, part, workers, arrivals.deadlines, name, value, value, value, baseline, tried)


def _per_item(q: Floats, objective: str) -> Floats:
    """Return what a sub-product lost with probability q adds per unit of energy; finite, so that no energy adds 0."""
    if objective == "loss":
        return q
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(q < 1, q / np.maximum(1 - q, 1e-300), NEVER))


def _water_filled(energy: Floats, arrived: Floats, weights: Floats, n: int, objective: str) -> Floats:
    """Return p with Σp = 1 that minimises Σ_k e_k Σ_d w_d h((1 - p_k F_d)^W), h(q) = q or q / (1 - q).

    At the optimum the gain of probability, e_k times the negative derivative, is the same μ for all k with p_k > 0, and less for
    the others. It falls in p: bisection for p given μ, inside one for μ.
    """

    def gain(p: Floats) -> Floats:
        q = (1.0 - p[:, None] * arrived) ** n
        slope = n * arrived * (1.0 - p[:, None] * arrived) ** (n - 1)
        if objective == "debiased":
            slope = slope / np.maximum(1.0 - q, 1e-150) ** 2
        return np.asarray(energy * (slope @ weights))

    def shares(level: float) -> Floats:
        low, high = np.zeros(energy.size), np.ones(energy.size)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = gain(middle) > level
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.where(gain(np.zeros(energy.size)) > level, (low + high) / 2, 0.0)

    most = float(gain(np.full(energy.size, 1e-9)).max())
    if not most > 0:  # nothing arrives
        return np.full(energy.size, 1 / energy.size)
    top = float(np.log(most))
    bottom = top - SPAN
    for _ in range(HALVINGS):
        middle = (bottom + top) / 2
        if shares(float(np.exp(middle))).sum() > 1:
            bottom = middle
        else:
            top = middle
    found = shares(float(np.exp(top)))
    return np.asarray(found / found.sum())


def _greedy(energy: Floats, late: Floats, weights: Floats, n: int, objective: str) -> Ints:
    """Return c with Σc = W that minimises Σ_k e_k Σ_d w_d h((1 - F_d)^c_k): each copy goes where it gains most."""
    if not (late < 1).any():
        return largest_remainders(np.full(energy.size, 1 / energy.size), n)
    copies = np.zeros(energy.size, dtype=np.int64)
    for _ in range(n):
        now, then = (_per_item(late ** (copies + more)[:, None], objective) @ weights for more in (0, 1))
        copies[int(np.argmax(energy * (now - then)))] += 1
    return copies

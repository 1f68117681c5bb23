"""The law of the loss of one realization: distribution, quantiles, Pr[loss > x], standard deviation (docs/mathematics.md §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import real_array, shown
from uepgpu.theory.closed_forms import Problem
from uepgpu.theory.patterns import loss_law

if TYPE_CHECKING:
    import xarray as xr

    from uepgpu.codes import Code
    from uepgpu.partition import Partition
    from uepgpu.workers import Workers

__all__ = ["above", "exceedance", "levels_array", "loss_distribution", "loss_quantile", "loss_sd", "losses_array"]

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Relative rounding of losses and of sums of probabilities: what differs by less is equal."""


def loss_distribution(
    code: Code,
    part: Partition,
    workers: Workers | None = None,
    *,
    deadlines: ArrayLike | None = None,
    received: ArrayLike | range | None = None,
) -> xr.Dataset:
    """Return the exact law of the loss of one realization.

    It is known for codes whose windows are disjoint or nested in one chain: EW has L + 1 losses, NOW up to 2^L, MDS two. For a
    model the loss of a pattern of decoded windows is its expectation over the matrices.

    Parameters
    ----------
    code, part, workers, deadlines, received
        As for :func:`loss`.

    Returns
    -------
    Dataset
        float64 variables over (``deadline`` or ``received``, ``outcome``): ``probability`` of each loss, and ``exceedance``, the
        probability of a greater one; both keep their digits where they are small. The coordinates ``loss`` and ``normalized_loss``
        over ``outcome`` are the losses that are possible, ascending.

    Raises
    ------
    ValueError
        As for :func:`loss`.
    NotImplementedError
        There is no closed form, or it has too many patterns; the message names what it is.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code, workers = uep.codes.ExpandingWindow((0.40, 0.35, 0.25)), uep.Workers(30, omega=1.0, work="unit")
    >>> law = uep.theory.loss_distribution(code, part, workers, deadlines=[0.3])
    >>> law.normalized_loss.values.round(5).tolist(), law.probability.values[0].round(5).tolist()
    ([0.0, 0.0017, 0.02605, 1.0], [0.14729, 0.29028, 0.2863, 0.27613])

    References
    ----------
    docs/mathematics.md §5.
    """
    problem = Problem.make(code, part, workers, deadlines, received)
    values, pmf = loss_law(problem, part)
    dims = (problem.dim, "outcome")
    variables = {"probability": (dims, pmf), "exceedance": (dims, _tails(pmf)[:, 1:])}
    return problem.dataset(part, variables, {"loss": ("outcome", values), "normalized_loss": ("outcome", values * _scale(part))})


def loss_quantile(
    code: Code,
    part: Partition,
    workers: Workers | None = None,
    *,
    q: ArrayLike,
    deadlines: ArrayLike | None = None,
    received: ArrayLike | range | None = None,
) -> xr.Dataset:
    """Return exact quantiles of the loss: the least loss that is not exceeded with probability at least q.

    Parameters
    ----------
    code, part, workers, deadlines, received
        As for :func:`loss`.
    q : float or sequence of float
        In [0, 1]; q = 0 and q = 1 are the least and the greatest loss that can occur.

    Returns
    -------
    Dataset
        ``loss`` and ``normalized_loss`` over (``deadline`` or ``received``, ``quantile``).

    Raises
    ------
    ValueError, NotImplementedError
        As for :func:`loss_distribution`; q outside [0, 1].

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code, workers = uep.codes.ExpandingWindow((0.40, 0.35, 0.25)), uep.Workers(30, omega=1.0, work="unit")
    >>> found = uep.theory.loss_quantile(code, part, workers, q=[0.5, 0.9, 0.99], deadlines=[0.6])
    >>> found.normalized_loss.values.round(5).tolist()
    [[0.0, 0.0017, 0.02605]]

    References
    ----------
    docs/mathematics.md §5.
    """
    levels = levels_array(q)
    problem = Problem.make(code, part, workers, deadlines, received)
    values, pmf = loss_law(problem, part)
    # Pr[loss > v] <= 1 - q says the same as Pr[loss <= v] >= q, and keeps its digits for q near 1.
    above_value = _tails(pmf)[:, None, 1:]
    reached = np.cumsum(pmf, axis=1)[:, None, :] >= levels[None, :, None] * (1 - ROUNDING)
    enough = np.where(levels[None, :, None] < 0.5, reached, above_value <= (1.0 - levels[None, :, None]) * (1 + ROUNDING))
    possible = np.cumsum(pmf, axis=1)[:, None, :] > 0
    quantile = values[(enough & possible).argmax(axis=2)]
    dims = (problem.dim, "quantile")
    data = {"loss": (dims, quantile), "normalized_loss": (dims, quantile * _scale(part))}
    return problem.dataset(part, data, {"quantile": levels})


def exceedance(
    code: Code,
    part: Partition,
    workers: Workers | None = None,
    *,
    x: ArrayLike,
    deadlines: ArrayLike | None = None,
    received: ArrayLike | range | None = None,
) -> xr.Dataset:
    """Return the exact probability that the normalized loss of one realization exceeds x.

    Parameters
    ----------
    code, part, workers, deadlines, received
        As for :func:`loss`.
    x : float or sequence of float
        Normalized losses >= 0. A loss that equals x but for rounding (1e-12 of it) does not exceed it.

    Returns
    -------
    Dataset
        ``probability`` over (``deadline`` or ``received``, ``x``), accurate where it is small.

    Raises
    ------
    ValueError, NotImplementedError
        As for :func:`loss_distribution`; an x that is negative or not finite.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> workers = uep.Workers(30, omega=1.0, work="unit")
    >>> for code in (uep.codes.ExpandingWindow((0.40, 0.35, 0.25)), uep.codes.MDS()):
    ...     print(uep.theory.exceedance(code, part, workers, x=0.01, deadlines=[0.6]).probability.values.round(5).tolist())
    [[0.07322]]
    [[0.03031]]

    References
    ----------
    docs/mathematics.md §5.
    """
    limits = losses_array("x", x)
    problem = Problem.make(code, part, workers, deadlines, received)
    values, pmf = loss_law(problem, part)
    probability = pmf @ above(values * _scale(part), limits).T.astype(np.float64)
    return problem.dataset(part, {"probability": ((problem.dim, "x"), np.minimum(probability, 1.0))}, {"x": limits})


def loss_sd(
    code: Code,
    part: Partition,
    workers: Workers | None = None,
    *,
    deadlines: ArrayLike | None = None,
    received: ArrayLike | range | None = None,
) -> xr.Dataset:
    """Return the exact standard deviation of the loss of one realization.

    Parameters
    ----------
    code, part, workers, deadlines, received
        As for :func:`loss`.

    Returns
    -------
    Dataset
        ``loss_sd`` and ``normalized_loss_sd`` over ``deadline`` or ``received``.

    Raises
    ------
    ValueError, NotImplementedError
        As for :func:`loss_distribution`.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> workers = uep.Workers(30, omega=1.0, work="unit")
    >>> uep.theory.loss_sd(uep.codes.MDS(), part, workers, deadlines=[0.6]).normalized_loss_sd.values.round(5).tolist()
    [0.17144]

    References
    ----------
    docs/mathematics.md §5.
    """
    problem = Problem.make(code, part, workers, deadlines, received)
    values, pmf = loss_law(problem, part)
    mean = pmf @ values
    sd = np.sqrt((pmf * (values[None, :] - mean[:, None]) ** 2).sum(axis=1))
    data = {"loss_sd": ((problem.dim,), sd), "normalized_loss_sd": ((problem.dim,), sd * _scale(part))}
    return problem.dataset(part, data)


def above(losses: Floats, limits: Floats) -> NDArray[np.bool_]:
    """Return which losses (V,) exceed which limits (X,), up to rounding, shape (X, V)."""
    return np.asarray(losses[None, :] > limits[:, None] * (1 + ROUNDING))


def levels_array(q: Any) -> Floats:
    """Return levels of quantiles as an array, checked."""
    levels = np.atleast_1d(real_array("q", q))
    if levels.ndim != 1 or levels.size == 0 or np.any(~((levels >= 0) & (levels <= 1))):
        raise ValueError(f"q must lie in [0, 1], got {shown(q)}")
    return levels


def losses_array(name: str, value: Any) -> Floats:
    """Return normalized losses as an array, checked."""
    losses = np.atleast_1d(real_array(name, value))
    if (
        np.asarray(value).dtype.kind == "b"
        or losses.ndim != 1
        or losses.size == 0
        or not np.all((losses >= 0) & np.isfinite(losses))
    ):
        raise ValueError(f"{name} must be finite normalized losses >= 0, one or a sequence of them, got {shown(value)}")
    return losses


def _tails(pmf: Floats) -> Floats:
    """Return Pr[at least outcome v] for v = 0..V, the last 0, summed from the end, shape (points, V + 1)."""
    return np.concatenate([np.cumsum(pmf[:, ::-1], axis=1)[:, ::-1], np.zeros((len(pmf), 1))], axis=1)


def _scale(part: Partition) -> float:
    return 1.0 / part.norm2 if part.norm2 > 0 else 0.0

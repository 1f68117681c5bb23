"""Completion times: when a class, everything, or a given loss is reached (docs/mathematics.md §4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, instance, real_array, shown
from uepgpu.codes import Code
from uepgpu.codes.law import packets_law
from uepgpu.partition import Partition
from uepgpu.text.variables import dataset as labelled
from uepgpu.theory import chain, disjoint
from uepgpu.theory.closed_forms import Problem, product_form
from uepgpu.theory.integrals import integral, least_time, steps
from uepgpu.theory.laws import deadline_counts
from uepgpu.theory.patterns import loss_law
from uepgpu.theory.structure import no_closed_form, window_structure
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Until", "check_levels", "check_until", "completion_time"]

Floats = NDArray[np.float64]
Until = str | int | float

QUANTILES = (0.5, 0.9, 0.99)
ROUNDING = 1e-11
"""Relative rounding of a probability."""


def completion_time(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    until: Until = "all",
    quantiles: ArrayLike = QUANTILES,
    times: ArrayLike | None = None,
) -> xr.Dataset:
    """Return the exact law of the time until enough is decoded, if the master waits for it.

    Parameters
    ----------
    code, part, workers
        As for :func:`loss`.
    until : "all", int or float
        What is waited for: all sub-products; the class of that number, from 1; a normalized loss of at most that, in [0, 1).
    quantiles : array_like of float, shape (Q,)
        Probabilities in [0, 1].
    times : array_like of float, shape (T,), optional
        Where the distribution function is wanted; default: none.

    Returns
    -------
    Dataset
        ``mean`` and ``sd`` of the time given that it comes, infinite where they are; ``mean_error``, what the quadrature behind the
        mean may be wrong by; ``never``, the probability that it never comes, however long one waits; ``quantile_time`` over
        ``quantile``, infinite where it comes more seldom; ``cdf`` over ``time``, and ``exceedance``, 1 - cdf with its digits.

    Raises
    ------
    ValueError, NotImplementedError
        As for :func:`decoding_probability`; `until`, `quantiles` or `times` out of their range; it is never reached.

    Examples
    --------
    >>> import uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[10] * 9, right_variances=[1] * 9, classes=(3, 3, 3))
    >>> workers = uep.Workers(30, omega=1.0, work="unit")
    >>> found = uep.theory.completion_time(uep.codes.MDS(), part, workers)  # the ninth of 30: 1/30 + 1/29 + ... + 1/22
    >>> round(found["mean"].item(), 6), round(found["sd"].item(), 6), found.quantile_time.values.round(4).tolist()
    (0.349628, 0.117129, [0.3365, 0.5056, 0.6786])

    References
    ----------
    docs/mathematics.md §4.
    """
    goal = check_until(until, part.n_classes if isinstance(part, Partition) else 0)
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    levels = check_levels(quantiles)
    missing = _missing(code, part, workers, goal)
    never = float(missing(np.array([np.inf]))[0])
    if never >= 1:
        raise ValueError(f"until={until!r} is never reached: {code!r} with {workers.count} workers does not decode enough")
    # What comes later, if at all; the rounding of a difference must not look like a tail.
    rest = lambda t: np.where((left := missing(t) - never) > ROUNDING * never, left, 0.0)[:, None]  # noqa: E731
    extremes = least_time(lambda t: missing(t) - never <= np.array([1 - 1e-14, 0.5]) * (1 - never), 2)
    jumps = steps(workers, part.n_subproducts, sorted(set(packets_law(code, part, workers).occurring_work.tolist())))
    mean = second = error = 0.0
    if extremes[1] > 0:
        found = integral(rest, max(float(extremes[0]), 1e-300), float(extremes[1]), jumps)
        mean, second, error = (float(x[0]) / (1 - never) for x in (found.first, found.second, found.first_error))
    variables = {
        "mean": mean,
        "sd": float(np.sqrt(max(second - mean**2, 0.0))) if np.isfinite(second) else np.inf,
        "mean_error": error,
        "never": never,
        "quantile_time": ("quantile", least_time(lambda t: missing(t) <= (1 - levels) * (1 + ROUNDING), levels.size)),
    }
    return _dataset(variables, levels, times, missing, until, workers.time_unit)


def _dataset(
    variables: dict[str, Any],
    levels: Floats,
    times: ArrayLike | None,
    missing: Callable[[Floats], Floats],
    until: Until,
    time_unit: str | None,
) -> xr.Dataset:
    at = np.zeros(0) if times is None else deadlines_array(times, "times")
    late = missing(at) if at.size else np.zeros(0)
    curves = {"cdf": ("time", 1.0 - late), "exceedance": ("time", late)}
    return labelled(variables | curves, {"quantile": levels, "time": at}, {"until": until}, time_unit)


def check_until(until: Until, n_classes: int) -> Until:
    """Return what is waited for: ``"all"``, the number of a class, or a normalized loss, checked."""
    if isinstance(until, str) and until == "all":
        return until
    if isinstance(until, int | np.integer) and not isinstance(until, bool) and 1 <= until <= n_classes:
        return int(until)
    if isinstance(until, float | np.floating) and 0 <= until < 1:
        return float(until)
    raise ValueError(
        f"until must be 'all', the number of a class from 1 to {n_classes}, or a normalized loss in [0, 1) written with a point, "
        f"got {shown(until)}"
    )


def check_levels(quantiles: ArrayLike) -> Floats:
    """Return probabilities, checked."""
    levels = np.atleast_1d(real_array("quantiles", quantiles))
    if levels.ndim != 1 or not np.all((levels >= 0) & (levels <= 1)):
        raise ValueError(f"quantiles must be probabilities in [0, 1], got {shown(quantiles)}")
    return levels


def _missing(code: Code, part: Partition, workers: Workers, goal: Until) -> Callable[[Floats], Floats]:
    """Return the probability that the goal is not reached, as a function of time."""
    law = packets_law(code, part, workers)
    structure = window_structure(law, code)
    if law.field in disjoint.ORDER and (structure.kind == "chain" or isinstance(goal, float)):
        raise no_closed_form(code, f"the completion time over the finite field {law.field}")

    def at(times: Floats) -> Problem:
        counts = deadline_counts(law, structure, workers, times, code)
        return Problem(code, law, structure, counts, "deadline", times, workers.count)

    if isinstance(goal, float):
        return lambda times: _above(at(times), part, goal)
    wanted = np.arange(part.n_subproducts) if goal == "all" else np.flatnonzero(part.classes == goal)
    units = np.unique(structure.unit_of[wanted])
    if law.field in disjoint.ORDER and np.unique(part.classes[np.isin(structure.unit_of, units)]).size > part.classes[wanted].size:
        raise no_closed_form(code, f"windows of several classes over the finite field {law.field}")

    def failing(times: Floats) -> Floats:
        if units[-1] == structure.n_units:
            return np.ones(times.size)  # a sub-product in no window
        counts = at(times).counts
        if structure.kind == "chain":
            return chain.decoded_prefix(chain.last_saturated(product_form(counts), structure.sizes))[0][:, units[-1]]
        return disjoint.all_decoded(counts, structure.sizes, units.tolist(), law.field)[0]

    return failing


def _above(problem: Problem, part: Partition, goal: float) -> Floats:
    """Return the probability that the loss of a realization is greater than `goal`, as a share of the norm."""
    values, chance = loss_law(problem, part)
    return np.asarray(chance @ (values > goal * part.norm2 * (1 + ROUNDING)))

"""Completion times of distributed gradient descent: of an iteration, of a descent, or until an error is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, realization_range, shown
from uepgpu.gradient_coding.engines import core_count, find_engine
from uepgpu.gradient_coding.plan import make_plan
from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.rounds import descents
from uepgpu.gradient_coding.schemes import Scheme
from uepgpu.tally.intervals import LEVEL, clopper_pearson, t_factor
from uepgpu.text.variables import dataset as labelled
from uepgpu.theory.completion import QUANTILES, check_levels
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["completion_time"]

Floats = NDArray[np.float64]


def completion_time(
    problem: Problem,
    scheme: Scheme,
    workers: Workers,
    *,
    iterations: int = 1,
    until: str | float = "all",
    realizations: int,
    seed: int,
    step: float = 1.0,
    decay: float = 0.0,
    start: Any = None,
    quantiles: ArrayLike = QUANTILES,
    times: ArrayLike | None = None,
    backend: str = "auto",
    threads: int | None = None,
    first_realization: int = 0,
) -> xr.Dataset:
    """Return the law of the time that iterations take, or of the time until an error is reached, from simulated descents.

    Names are those of :func:`uepgpu.theory.completion_time`, whose times of an MDS code are those of the q fastest servers.

    Parameters
    ----------
    problem, scheme, workers, realizations, seed, step, decay, start, backend, threads, first_realization
        As for :func:`uepgpu.gradient_coding.descend`.
    iterations : int
        T: one iteration, or a descent of many.
    until : "all" or float
        What is waited for: all iterations; the first iterate with ‖x_t − x*‖ <= that times ‖x*‖, > 0.
    quantiles, times
        As for :func:`uepgpu.theory.completion_time`.

    Returns
    -------
    Dataset
        ``mean`` and ``sd`` of the time given that it comes within the iterations, ``mean_stderr``, and ``mean_low`` and
        ``mean_high``, the bounds of its 95 % interval (Student's t); ``never``, the share of realizations in which it does not;
        ``quantile_time``, ``quantile_low``, ``quantile_high`` over ``quantile``, infinite where it comes more seldom; ``cdf``,
        ``cdf_low``, ``cdf_high`` over ``time``. Bounds of the distribution function are exact binomial ones; those of quantiles
        are where these reach them.

    Raises
    ------
    ValueError
        As for :func:`uepgpu.gradient_coding.descend`; the error is never reached.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0, 4.0], blocks=2)
    >>> racks = uep.Racks([0, 0, 0, 1, 1, 1], 0.1, latency=uep.latency.Exponential(0.1))
    >>> servers = uep.Workers(6, omega=1.0, racks=racks)
    >>> found = completion_time(problem, gc.ReplicatedSketch(fastest=5), servers, realizations=10_000, seed=1)
    >>> part = uep.Partition.model("cxr", left_variances=[1.0] * 5, right_variances=[1.0] * 5, classes=(5,))
    >>> one_answer_each = uep.Workers(6, omega=1.0, work="unit", racks=racks)
    >>> exact = uep.theory.completion_time(uep.codes.MDS(), part, one_answer_each)
    >>> bool(found.mean_low <= exact["mean"] <= found.mean_high), found.quantile_time.values.round(1).tolist()
    (True, [1.5, 6.7, 20.0])
    """
    goal = _goal(until)
    levels = check_levels(quantiles)
    at = np.zeros(0) if times is None else deadlines_array(times, "times")
    by_iterate = getattr(scheme, "law", None) == "gradient-norm"
    first, n = realization_range(first_realization, realizations)
    cores = core_count(threads)
    plan = make_plan(problem, scheme, workers, iterations=iterations, step=step, decay=decay, start=start, seed=seed)
    name, kernels = find_engine(backend, without=("cuda",) if by_iterate else (), iterations=n * plan.job.steps.size)
    found = [_reached(record, taken, goal) for record, taken in descents(plan, kernels, first, n, cores)]
    data = _law(np.sort(np.concatenate(found)), levels, at, until)
    attributes = {"scheme": repr(scheme), "backend": name, "seed": int(plan.job.seed), "realizations": n, "until": until}
    return labelled(data, {"quantile": levels, "time": at}, attributes, workers.time_unit)


def _goal(until: Any) -> float | None:
    """Return the error that is to be reached; None for all iterations."""
    if isinstance(until, str) and until == "all":
        return None
    if isinstance(until, float | np.floating) and 0 < until < np.inf:
        return float(until)
    raise ValueError(f"until must be 'all' or a relative error > 0 written with a point, got {shown(until)}")


def _reached(record: Floats, taken: Floats, goal: float | None) -> Floats:
    """Return when the goal is reached in each realization, infinite if it is not."""
    clock = np.concatenate([np.zeros((len(taken), 1)), np.cumsum(taken, axis=1)], axis=1)
    if goal is None:
        return np.asarray(clock[:, -1])
    good = record[:, :, 0] <= goal
    return np.where(good.any(axis=1), np.take_along_axis(clock, good.argmax(axis=1)[:, None], axis=1)[:, 0], np.inf)


def _law(reached: Floats, levels: Floats, at: Floats, until: Any) -> dict[str, Any]:
    """Return the variables that describe ascending times, infinite ones last."""
    n, came = reached.size, reached[np.isfinite(reached)]
    if not came.size:
        raise ValueError(f"until={until!r} is never reached in {n:,} realizations")
    mean = float(came.mean())
    spread = float(came.std(ddof=1)) if came.size > 1 else np.nan
    error = spread / np.sqrt(came.size)
    half = float(t_factor(came.size - 1)) * error if came.size > 1 else np.inf
    # Of so many realizations by each time: the curve and its bounds, at every time at which the curve rises.
    share = np.arange(1, n + 1) / n
    low, high = clopper_pearson(np.arange(1.0, n + 1), n, 1 - LEVEL)
    data: dict[str, Any] = {
        "mean": mean,
        "mean_stderr": error,
        "mean_low": max(mean - half, 0.0),
        "mean_high": mean + half,
        "sd": spread,
        "never": 1.0 - came.size / n,
    }
    # Before the first time nothing has come, and the upper bound may have reached a level already.
    none_high = float(clopper_pearson(np.array(0.0), n, 1 - LEVEL)[1])
    for name, curve in (("quantile_time", share), ("quantile_low", high), ("quantile_high", low)):
        number = np.searchsorted(curve, levels * (1 - 1e-12), side="left")
        when = np.append(reached, np.inf)[number]
        data[name] = ("quantile", np.where(levels <= none_high, 0.0, when) if name == "quantile_low" else when)
    by = np.searchsorted(reached, at, side="right").astype(np.float64)
    bounds = clopper_pearson(by, n, 1 - LEVEL)
    for name, values in zip(("cdf", "cdf_low", "cdf_high"), (by / n, *bounds), strict=True):
        data[name] = ("time", values)
    return data

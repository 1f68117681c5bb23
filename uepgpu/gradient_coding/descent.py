"""Distributed gradient descent over many realizations of stragglers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import deadlines_array, realization_range
from uepgpu.gradient_coding.engines import core_count, find_engine
from uepgpu.gradient_coding.moments import Moments
from uepgpu.gradient_coding.plan import DescentPlan, make_plan
from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.rounds import descents, sketches
from uepgpu.gradient_coding.schemes import SampledSketch, Scheme
from uepgpu.latency.law import ROUNDING
from uepgpu.text.variables import dataset as labelled
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["descend", "draw_sketches"]

Floats = NDArray[np.float64]


def descend(
    problem: Problem,
    scheme: Scheme,
    workers: Workers,
    *,
    iterations: int,
    realizations: int,
    seed: int,
    step: float = 1.0,
    decay: float = 0.0,
    start: Any = None,
    deadlines: Any = None,
    backend: str = "auto",
    threads: int | None = None,
    first_realization: int = 0,
    progress: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Run T iterations of gradient descent in many realizations of the servers' latencies.

    Realization i is a pure function of (seed, i): which servers answer and which blocks are drawn is the same, integer for
    integer, on every backend; iterates agree to rounding.

    Parameters
    ----------
    problem : Problem
    scheme : Scheme
        From :mod:`uepgpu.gradient_coding`.
    workers : Workers
        R servers, of any laws, speeds and stages, with second tries, in racks, or with a trace of recorded latencies; they may be
        lossy where the scheme has a time ``until`` which the master waits. The gradient of one of the problem's K blocks is one
        unit of work; schemes that share out rows otherwise are charged in proportion to their rows (``work="true"``) or one unit
        (``work="unit"``). Iterations are rounds: racks are struck in each anew, and of a trace that is replayed in order
        realization i takes rows i, i + 1, … in turn.
    iterations, realizations : int
    seed : int
        0..2^64-1.
    step : float
        Step size of the first iteration in units of 1/L, L being ``problem.curvature``.
    decay : float
        Iteration t has ``step / (1 + decay·t)``; 0 is a constant step.
    start : array_like, shape (d,), optional
        x_0. Default: zero.
    deadlines : array_like of float, optional
        Non-decreasing times >= 0 at which the error of the latest iterate is reported too.
    backend : "auto", "numba", "numpy" or "cuda"
        ``"auto"`` is Numba, else NumPy, and from a million iterations of all realizations on CUDA, if it can run. ``"cuda"``
        draws, decodes and multiplies on the device; who is heard there is drawn on the host unless latencies are those of
        servers alike. Not for gradient-norm sampling.
    threads : int, optional
        CPU threads of Numba. Default: all cores. Results do not depend on them, not even in the last bit.
    first_realization : int
    progress : callable, optional
        Called with the number of realizations finished since the last call.

    Returns
    -------
    xarray.Dataset
        Means over realizations, each with ``_stderr``, over ``iteration`` 0..T: ``error`` ‖x_t − x*‖/‖x*‖; ``residual``
        ‖Ax_t − b‖/‖b‖, or the mean logistic loss; ``gradient_error`` ‖ĝ_t − g_t‖ relative to the gradient at x_0 (nan at T);
        ``time`` at which x_t is there. With `deadlines`, ``error_at_deadline`` over ``deadline``: nan from the first one at
        which some realization has run out of iterations. A realization that diverges makes means infinite or nan.
        Attributes: ``scheme``, ``backend``, ``seed``, ``realizations``, ``diverged`` (realizations whose last error exceeds
        the first or is not finite), ``unheard`` (blocks with rows other than zero whose gradient can never arrive: more than 0
        is a biased estimate).

    Raises
    ------
    ValueError
        Bad arguments, named, before any work.
    BackendUnavailable
        A named backend cannot run.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> table = gc.multivariate_t(rows=400, columns=5, degrees=1.0, noise=0.1, seed=1)
    >>> problem = gc.Problem(table.A, table.b, blocks=10)
    >>> run = gc.descend(problem, gc.ReplicatedSketch(fastest=12), uep.Workers(30), iterations=50, realizations=64, seed=7)
    >>> sorted(run.data_vars)
    ['error', 'error_stderr', 'gradient_error', 'gradient_error_stderr', 'residual', 'residual_stderr', 'time', 'time_stderr']
    >>> run.sizes["iteration"], float(run.error[0])
    (51, 1.0)

    Notes
    -----
    docs/mathematics.md §8.
    """
    by_iterate = isinstance(scheme, SampledSketch) and scheme.law == "gradient-norm"
    first, n = realization_range(first_realization, realizations)
    cores = core_count(threads)
    ends = None if deadlines is None else deadlines_array(deadlines)
    plan = make_plan(problem, scheme, workers, iterations=iterations, step=step, decay=decay, start=start, seed=seed)
    name, kernels = find_engine(backend, without=("cuda",) if by_iterate else (), iterations=n * plan.job.steps.size)
    total: list[Moments] | None = None
    diverged = 0
    for record, times in descents(plan, kernels, first, n, cores):
        clock = np.cumsum(times, axis=1)
        clock = np.concatenate([np.zeros((len(clock), 1)), clock], axis=1)
        parts = [Moments.of(record), Moments.of(clock)]
        if ends is not None:
            parts.append(Moments.of(_at_deadlines(record[:, :, 0], clock, ends)))
        total = parts if total is None else [a + b for a, b in zip(total, parts, strict=True)]
        # not <=, so that nan counts
        diverged += int(np.count_nonzero(~(record[:, -1, 0] <= record[:, 0, 0])))
        if progress is not None:
            progress(len(record))
    assert total is not None
    facts: dict[str, int | str] = {"backend": name, "seed": int(plan.job.seed), "realizations": n, "diverged": diverged}
    return _dataset(plan, scheme, total, ends, facts, workers.time_unit)


def _at_deadlines(error: Floats, clock: Floats, deadlines: Floats) -> Floats:
    """Return the error of the latest iterate at each time, shape (realizations, D); nan beyond the last iterate's time."""
    # An answer that is due exactly at a deadline has met it, whatever sums of latencies round to.
    at = np.stack([np.searchsorted(row, deadlines * ROUNDING, side="right") - 1 for row in clock])
    values = np.take_along_axis(error, at, axis=1)
    return np.where(deadlines <= clock[:, -1:] * ROUNDING, values, np.nan)


def _dataset(
    plan: DescentPlan,
    scheme: Scheme,
    total: list[Moments],
    deadlines: Floats | None,
    attributes: dict[str, int | str],
    time_unit: str | None,
) -> xr.Dataset:
    record, clock = total[:2]
    variables: dict[str, tuple[str, Floats]] = {}
    for column, name in enumerate(("error", "residual", "gradient_error")):
        variables[name] = ("iteration", record.mean[:, column])
        variables[f"{name}_stderr"] = ("iteration", record.stderr[:, column])
    variables["time"], variables["time_stderr"] = ("iteration", clock.mean), ("iteration", clock.stderr)
    coords: dict[str, Any] = {"iteration": np.arange(clock.mean.size)}
    if deadlines is not None:
        coords["deadline"] = deadlines
        variables["error_at_deadline"] = ("deadline", total[2].mean)
        variables["error_at_deadline_stderr"] = ("deadline", total[2].stderr)
    return labelled(variables, coords, {"scheme": repr(scheme), "unheard": plan.unheard, **attributes}, time_unit)


def draw_sketches(
    problem: Problem,
    scheme: Scheme,
    workers: Workers,
    *,
    iterations: int = 1,
    realizations: int,
    seed: int,
    backend: str = "auto",
    first_realization: int = 0,
) -> xr.Dataset:
    """Draw what :func:`descend` draws, without descending: which blocks each iteration receives, and how long it takes.

    Parameters
    ----------
    problem, scheme, workers, iterations, realizations, seed, backend, first_realization
        As for :func:`descend`; not gradient-norm sampling, whose draws depend on iterates.

    Returns
    -------
    xarray.Dataset
        ``copies``, int64 over (``realization``, ``iteration``, ``block``): answers with each block of the scheme's cut of the
        rows; ``time`` over (``realization``, ``iteration``): how long the iteration takes; ``weight`` over ``block``: what one
        answer weighs (zero for a code, whose weights are decoded); where rules let fewer answers come than the scheme's most,
        :class:`ReplicatedSketch` and :class:`StochasticBlocks` multiply it by the ratio of these numbers.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 1.0, 1.0], blocks=3)
    >>> draws = gc.draw_sketches(problem, gc.ReplicatedSketch(fastest=2), uep.Workers(4), realizations=5, seed=7)
    >>> draws.copies.sum("block").values.ravel().tolist()
    [2, 2, 2, 2, 2]
    """
    if isinstance(scheme, SampledSketch) and scheme.law == "gradient-norm":
        raise ValueError("law='gradient-norm' draws blocks by gradients at iterates, so that only descend can draw them")
    first, n = realization_range(first_realization, realizations)
    plan = make_plan(problem, scheme, workers, iterations=iterations, step=1.0, decay=0.0, start=None, seed=seed)
    _, kernels = find_engine(backend, iterations=n * plan.job.steps.size)
    copies, times = sketches(plan, kernels, first, n, iterations)
    return labelled(
        {
            "copies": (("realization", "iteration", "block"), copies),
            "time": (("realization", "iteration"), times),
            "weight": ("block", plan.job.copy_weight),
        },
        {"realization": np.uint64(first) + np.arange(n, dtype=np.uint64)},
        {"unheard": plan.unheard},
        workers.time_unit,
    )

"""Inverse questions: the deadline, or the number of workers, that a loss takes (docs/mathematics.md §5)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import instance, integer, positive, shown
from uepgpu.codes.law import packets_law
from uepgpu.partition import Partition
from uepgpu.text.variables import dataset as labelled
from uepgpu.theory.closed_forms import loss as expected_loss
from uepgpu.theory.distribution import losses_array
from uepgpu.theory.search import first_time, typical_time
from uepgpu.workers import Workers
from uepgpu.workers.pool import MOST_WORKERS

if TYPE_CHECKING:
    import xarray as xr

    from uepgpu.codes import Code

__all__ = ["deadline_for", "require_scalable", "workers_for"]

Floats = NDArray[np.float64]

MOST = 500
"""Workers that are tried unless more are asked for."""


def deadline_for(code: Code, part: Partition, workers: Workers, *, loss: ArrayLike) -> xr.Dataset:
    """Return the earliest deadline by which the expected normalized loss is at most `loss`.

    Parameters
    ----------
    code, part, workers
        As for :func:`loss`.
    loss : float or sequence of float
        Normalized losses >= 0.

    Returns
    -------
    Dataset
        ``deadline`` over ``target``, and ``normalized_loss``, the expected loss at that deadline: the target itself (to 1e-9)
        where the latency law is continuous, less than it where the law has a step. A loss that is never reached, because packets
        get lost or a sub-product is in no window, has the deadline inf and the loss of waiting for ever. Where cross terms are
        negative (cxr), so that the loss may rise in between, it is the first deadline that a grid of four times an octave sees.

    Raises
    ------
    ValueError, NotImplementedError
        As for :func:`loss`; a loss that is negative or not finite.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code, workers = uep.codes.ExpandingWindow((0.40, 0.35, 0.25)), uep.Workers(30, omega=1.0, work="unit")
    >>> found = uep.theory.deadline_for(code, part, workers, loss=[0.5, 0.05])
    >>> found.deadline.values.round(4).tolist(), found.normalized_loss.values.round(9).tolist()
    ([0.2252, 0.4684], [0.5, 0.05])

    References
    ----------
    docs/mathematics.md §5.
    """
    targets = losses_array("loss", loss)
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    start = typical_time(workers, part.n_subproducts)

    def curve(times: Floats) -> Floats:
        return np.asarray(expected_loss(code, part, workers, deadlines=times)["normalized_loss"].values, dtype=np.float64)

    found = np.array([first_time(curve, target, start) for target in targets.tolist()])
    reached = [float(curve(np.array([min(t, 1e300)]))[0]) for t in found.tolist()]
    return _answers(targets, {"deadline": found, "normalized_loss": np.array(reached)}, workers.time_unit)


def workers_for(code: Code, part: Partition, workers: Workers, *, loss: ArrayLike, deadline: float, most: int = MOST) -> xr.Dataset:
    """Return the least number of workers whose expected normalized loss at a deadline is at most `loss`.

    Parameters
    ----------
    code, part : Code, Partition
    workers : Workers
        Latency, load and cost; its count is replaced by every number from 1 to `most` in turn. ``omega="fair"`` shares the work
        among them, so that more workers may be worse; the answer is the least number that will do.
    loss : float or sequence of float
        Normalized losses >= 0.
    deadline : float
        >= 0.
    most : int
        The greatest number of workers to try.

    Returns
    -------
    Dataset
        ``workers`` over ``target``, inf where no number up to `most` will do, and ``normalized_loss``, the expected loss with that
        many workers (nan there).

    Raises
    ------
    ValueError
        As for :func:`loss`; the code fits no number of workers up to `most`; workers have speeds of their own.
    NotImplementedError
        As for :func:`loss`.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code, workers = uep.codes.ExpandingWindow((0.40, 0.35, 0.25)), uep.Workers(30, omega=1.0, work="unit")
    >>> found = uep.theory.workers_for(code, part, workers, loss=[0.05, 0.01], deadline=0.6)
    >>> found.workers.values.tolist(), found.normalized_loss.values.round(4).tolist()
    ([25.0, 30.0], [0.0418, 0.0099])

    References
    ----------
    docs/mathematics.md §5.
    """
    targets = losses_array("loss", loss)
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    time = positive("deadline", deadline, zero=True)
    integer("most", most, 1, MOST_WORKERS)
    require_scalable(workers)
    found, reached = np.full(targets.size, math.inf), np.full(targets.size, math.nan)
    refusal: ValueError | None = None
    fits = False
    for count in range(1, most + 1):
        pool = replace(workers, count=count)
        try:
            packets_law(code, part, pool)
        except ValueError as error:  # uncoded workers, repetition and matrices fit one number only
            refusal = error
            continue
        fits = True
        value = float(expected_loss(code, part, pool, deadlines=[time])["normalized_loss"].values[0])
        new = np.isinf(found) & (value <= targets)
        found[new], reached[new] = count, value
        if not np.isinf(found).any():
            break
    if not fits:
        raise ValueError(f"code fits no number of workers up to most={most}: {refusal}")
    return _answers(targets, {"workers": found, "normalized_loss": reached})


def require_scalable(workers: Workers) -> None:
    """Raise ``ValueError`` unless another number of such workers is described by another count alone."""
    if not workers.scalable:
        name = next((name for name in ("speeds", "racks") if getattr(workers, name) is not None), "latency")
        raise ValueError(f"workers must be equal for their number to be asked for, got {name}={shown(getattr(workers, name))}")


def _answers(targets: Floats, values: dict[str, Floats], time_unit: str | None = None) -> xr.Dataset:
    return labelled({name: ("target", value) for name, value in values.items()}, {"target": targets}, time_unit=time_unit)

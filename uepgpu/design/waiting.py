"""The best deadline for products that are computed one after another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uepgpu import theory
from uepgpu.checks import instance, positive
from uepgpu.codes import Code
from uepgpu.design.result import Design, candidates
from uepgpu.partition import Partition
from uepgpu.workers import Workers

__all__ = ["deadline"]

Floats = NDArray[np.float64]

POINTS = 400
SPAN = 1e4
"""The latest time over the earliest that is tried."""
REFINED = 4
"""Times the neighbourhood of the best point is searched anew: each is a hundred times finer."""
MOST_DOUBLINGS = 60


def deadline(code: Code, part: Partition, workers: Workers, *, startup: float, latest: float | None = None) -> Design:
    """Return the deadline t of the largest rate (1 - L(t)) / (t + τ): most of ‖C‖² decoded per unit of time.

    Parameters
    ----------
    code : Code
        Any with a closed form.
    part : Partition
    workers : Workers
    startup : float
        τ >= 0, the time that every product costs besides waiting. With τ = 0 the rate of some codes grows as t falls to 0: ask
        for the heaviest sub-product and leave at once.
    latest : float, optional
        No later deadline is tried. Default: when the expected loss is below .001.

    Returns
    -------
    Design
        ``deadlines`` is the one that was found, and ``objective`` its rate, which is to be large; the baseline is the rate of
        waiting until `latest`. ``tried`` has ``deadline`` and ``loss``.

    Raises
    ------
    ValueError
        Bad arguments; no latest time where the loss stays above .001; or the rate has no maximum.
    NotImplementedError
        There is no closed form.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> workers = uep.Workers(30, omega=1.0, work="unit")
    >>> best = uep.design.deadline(uep.codes.ExpandingWindow((0.40, 0.35, 0.25)), part, workers, startup=0.0)
    >>> round(best.deadlines.item(), 2), round(best.objective, 3)
    (0.3, 2.387)

    References
    ----------
    docs/mathematics.md §11.
    """
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    positive("startup", startup, zero=True)
    if latest is not None:
        positive("latest", latest)
    if not part.norm2 > 0:
        raise ValueError(f"part must have a product other than 0, got ‖C‖² = {part.norm2:g}")

    def losses(times: Floats) -> Floats:
        return np.asarray(theory.loss(code, part, workers, deadlines=times).normalized_loss.values)

    end = _end(losses) if latest is None else float(latest)
    times = np.geomspace(end / SPAN, end, POINTS)
    loss = losses(times)
    rate = (1.0 - loss) / (times + startup)
    best = int(np.argmax(rate))
    if best == 0:
        raise ValueError(
            f"startup must be larger: with {startup:g} the rate (1 - loss)/(t + startup) grows as the deadline falls to 0, and no "
            "deadline is best"
        )
    for _ in range(REFINED):
        fine = np.linspace(times[max(best - 1, 0)], times[min(best + 1, times.size - 1)], POINTS)
        order = np.argsort(np.concatenate([times, fine]), kind="stable")
        times, loss = np.concatenate([times, fine])[order], np.concatenate([loss, losses(fine)])[order]
        rate = (1.0 - loss) / (times + startup)
        best = int(np.argmax(rate))
    order = np.argsort(-rate, kind="stable")
    tried = candidates(rate[order], deadline=times[order], loss=loss[order])
    value = float(rate[best])
    what = f"rate (1 - loss)/(t + {startup:g})"
    return Design(code, part, workers, times[best : best + 1], what, value, value, value, float(rate[-1]), tried)


def _end(losses: object) -> float:
    """Return a time by which the loss is below .001, within a factor of two."""
    assert callable(losses)
    for power in range(MOST_DOUBLINGS):
        for time in (2.0**power, 2.0**-power):
            low, high = losses(np.array([time / 2, time]))
            if high < 1e-3 <= low:
                return time
    raise ValueError("latest must be given: the expected loss is not seen to fall below .001 at any time")

"""The best number of workers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu import theory
from uepgpu.checks import deadlines_array, flag, instance, integer_array, positive, shown
from uepgpu.codes import Code
from uepgpu.codes.law import support_law
from uepgpu.design.arrivals import arrivals_of, weights_of
from uepgpu.design.decoding import UEPCode, decoding_of
from uepgpu.design.drawn import search
from uepgpu.design.expectation import expectation
from uepgpu.design.objective import Linear
from uepgpu.design.result import Design, candidates
from uepgpu.partition import Partition
from uepgpu.workers import Workers
from uepgpu.workers.together import require_one_message

__all__ = ["redundancy"]

Floats = NDArray[np.float64]


def redundancy(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike,
    counts: ArrayLike,
    price: float = 0.0,
    tune: bool = True,
    weights: ArrayLike | None = None,
) -> Design:
    """Return the best number of workers W.

    With ``omega="fair"`` all W share the same total load, Ω = K/W: more and smaller packets, or fewer that are larger. With a
    price every block product costs something, and W is how much is bought.

    Parameters
    ----------
    code : Code
        Any with a closed form.
    part : Partition
    workers : Workers
        Without speeds; their number is the baseline.
    deadlines : array_like of float, shape (points,)
    counts : array_like of int
        Numbers of workers to try.
    price : float
        μ >= 0 in the objective L + μ W E[r], r the true work of a packet.
    tune : bool
        Whether ExpandingWindow and NonOverlappingWindow with drawn windows get the best Γ for every W.
    weights : array_like of float, shape (points,), optional
        Weights of the deadlines, whose mean loss is taken. Default: equal.

    Returns
    -------
    Design
        ``workers`` and ``code`` are what was found; ``tried`` has ``count``, ``loss`` and ``work``, W E[r].

    Raises
    ------
    ValueError
        Bad arguments, or a code that does not fit a number of workers.
    NotImplementedError
        There is no closed form.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> workers = uep.Workers(30, latency=uep.latency.ShiftedExponential(rate=2.0, shift=0.5), omega="fair")
    >>> best = uep.design.redundancy(uep.codes.MDS("factored"), part, workers, deadlines=1.5, counts=range(9, 31))
    >>> best.workers.count, round(best.objective, 5), best.baseline
    (12, 0.46555, 1.0)

    References
    ----------
    docs/mathematics.md §11.
    """
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    positive("price", price, zero=True)
    flag("tune", tune)
    require_one_message(workers, "a price of their work")
    if not workers.scalable:
        raise ValueError(f"workers must have no speeds, laws or racks, which belong to their number, got {shown(workers)}")
    given = integer_array("counts", list(counts) if isinstance(counts, range) else counts)
    if given.ndim != 1 or np.any(given < 1):
        raise ValueError(f"counts must be a sequence of numbers of workers >= 1, got {shown(counts)}")
    times = deadlines_array(deadlines)
    share = weights_of(weights, times.size)

    def value(count: int, tuned: bool) -> tuple[float, float, float, Code, Workers]:
        pool = replace(workers, count=count)
        chosen = code
        if tuned and isinstance(code, UEPCode) and code.windows == "drawn":
            chosen = _tuned(code, part, pool, times, share, price * count)
        loss = float(theory.loss(chosen, part, pool, deadlines=times).normalized_loss.values @ share)
        law = support_law(chosen, part, count)
        chances = law.probabilities if law.window is None else np.bincount(law.window, minlength=law.work.size) / count
        assert chances is not None
        work = count * float(law.work @ chances)
        return loss + price * work, loss, work, chosen, pool

    rows = sorted((value(count, tune) for count in np.unique(given).tolist()), key=lambda row: row[0])
    best, _, _, chosen, pool = rows[0]
    tried = candidates([r[0] for r in rows], count=[r[4].count for r in rows], loss=[r[1] for r in rows], work=[r[2] for r in rows])
    name = "loss" if price == 0 else f"loss + {price:g} × work"
    return Design(chosen, part, pool, times, name, best, best, best, value(workers.count, tuned=False)[0], tried)


def _tuned(code: UEPCode, part: Partition, workers: Workers, times: Floats, weights: Floats, price: float) -> Code:
    decoding = decoding_of(code, part, workers.count)
    arrivals = arrivals_of(workers, times, None, decoding.work, part.n_subproducts)
    gamma = np.asarray(code.gamma) / sum(code.gamma)
    chances = expectation(decoding, arrivals)
    found, _, _ = search(
        chances, Linear(decoding.loss), "mean", weights, gamma, cost=np.asarray(price * decoding.work, dtype=np.float64)
    )
    return replace(code, gamma=tuple(found.gamma[0].tolist()))

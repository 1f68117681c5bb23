"""Moments of the loss over trajectories: means over rounds that depend on each other (docs/mathematics.md §4).

Rounds depend on each other through arrivals alone: given the numbers N and N' that are received in two rounds, what packets hold
is drawn anew. So Cov(loss, loss') = Cov(g(N), g(N')) with g(N) = E[loss | N], for which the law of (N, N') is all that matters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, instance
from uepgpu.codes.cost import warn_of_default
from uepgpu.latency import Trace
from uepgpu.plan import check_rounds
from uepgpu.theory.closed_forms import Problem
from uepgpu.theory.patterns import loss_law
from uepgpu.theory.received import received_law, thinned
from uepgpu.theory.structure import no_closed_form
from uepgpu.workers import Workers
from uepgpu.workers.together import require_one_message

if TYPE_CHECKING:
    import xarray as xr

    from uepgpu.codes import Code
    from uepgpu.codes.supports import SupportLaw
    from uepgpu.partition import Partition
    from uepgpu.workers import Markov

__all__ = ["trajectory_moments"]

Floats = NDArray[np.float64]

MOST_PRODUCTS = 5e10
"""Multiplications that convolving the joint laws of two rounds may take: minutes."""
_BOTH = ("deadline", "lag")
AT_ONCE = 1 << 22
"""Probabilities of joint laws that are held at a time."""


def trajectory_moments(code: Code, part: Partition, workers: Workers, *, deadlines: ArrayLike, rounds: int) -> xr.Dataset:
    """Return the exact mean and standard deviation of the mean loss over rounds, and how losses of rounds are correlated.

    Parameters
    ----------
    code, part
        As for :func:`loss`; windows in one chain or disjoint, drawn for every packet (or packets that are all alike).
    workers : Workers
        With :class:`uepgpu.Markov` states or a trace, as for :func:`uepgpu.simulate` with `rounds`; packets of equal charged work.
    deadlines : array_like of float, shape (D,)
    rounds : int
        R, 1..100,000. A trace in order is taken to begin at any of its rounds, as full passes do.

    Returns
    -------
    Dataset
        float64 variables over ``deadline``: ``loss``, the expected loss of any round; ``loss_sd``, the standard deviation of the
        mean over R rounds, and ``loss_sd_independent``, what it were of independent rounds; ``expected_loss_sd`` and
        ``expected_loss_sd_independent``, the same of E[loss | number received] instead of the loss, which has the same mean;
        ``normalized_`` of each. Over ``deadline`` and ``lag`` (0..R-1): ``correlation`` of the losses of two rounds, and
        ``expected_correlation``; NaN where they do not vary.

    Raises
    ------
    ValueError
        As for :func:`loss`; workers with neither states nor a trace; `rounds` out of range.
    NotImplementedError
        There is no closed form; the message names what has none.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> states = uep.Markov([[0.9, 0.1], [0.3, 0.7]], [uep.latency.Exponential(1.0), uep.latency.Exponential(0.1)])
    >>> workers = uep.Workers(30, states=states, omega=1.0, work="unit")
    >>> code = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
    >>> found = uep.theory.trajectory_moments(code, part, workers, deadlines=[0.6], rounds=20)
    >>> round(found.normalized_loss_sd.item(), 5), round(found.normalized_loss_sd_independent.item(), 5)
    (0.05793, 0.05605)
    >>> found.correlation.sel(lag=[1, 5]).values.round(5).tolist()
    [[0.01593, 0.00197]]

    References
    ----------
    docs/mathematics.md §4.
    """
    instance("workers", workers, Workers)
    require_one_message(workers, "trajectories")
    check_rounds(rounds, workers)
    times = deadlines_array(deadlines)
    trace = workers.latency if isinstance(workers.latency, Trace) else None
    if trace is None and float(times.size) * rounds * workers.count**3 > MOST_PRODUCTS:
        raise no_closed_form(code, f"the joint law of {workers.count:,} workers in {rounds:,} rounds")
    problem = Problem.make(code, part, workers, None, np.arange(workers.count + 1))
    warn_of_default(code, problem.law, workers)
    work = _charged(problem.law, workers, code)
    values, pmf = loss_law(problem, part)
    given, given_square = pmf @ values, pmf @ values**2  # E[loss | N] and E[loss² | N]
    if trace is not None:
        moments = [_of_trace(workers, trace, t, part.n_subproducts, work, given, given_square, rounds) for t in times]
    else:
        assert workers.states is not None
        chance = received_law(workers, times, part.n_subproducts, work)
        chances = [_in_states(workers, workers.states, t, part.n_subproducts, work) for t in times]
        moments = [_of_states(p, own, workers.states, given, given_square, rounds) for p, own in zip(chance, chances, strict=True)]
    mean, variance, covariance = (np.array([m[i] for m in moments]) for i in range(3))
    weight = np.arange(rounds, 0, -1) * np.where(np.arange(rounds) == 0, 1.0, 2.0) / rounds**2
    between = covariance @ weight
    scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
    sds = {
        "loss_sd": between + (variance - covariance[:, 0]) / rounds,
        "loss_sd_independent": variance / rounds,
        "expected_loss_sd": between,
        "expected_loss_sd_independent": covariance[:, 0] / rounds,
    }
    found = {"loss": mean} | {name: np.sqrt(np.maximum(value, 0.0)) for name, value in sds.items()}
    variables: dict[str, Any] = {name: ("deadline", value) for name, value in found.items()}
    variables |= {f"normalized_{name}": ("deadline", value * scale) for name, value in found.items()}
    of_losses = covariance / _nan_for_none(variance, mean)[:, None]
    of_losses[:, 0] = np.where(np.isnan(of_losses[:, 0]), np.nan, 1.0)
    of_expected = covariance / _nan_for_none(covariance[:, 0], mean)[:, None]
    variables |= {"correlation": (_BOTH, of_losses), "expected_correlation": (_BOTH, of_expected)}
    by_deadline = replace(problem, dim="deadline", points=times, time_unit=workers.time_unit)
    return by_deadline.dataset(part, variables, {"lag": np.arange(rounds)})


def _nan_for_none(variance: Floats, mean: Floats) -> Floats:
    """Return variances, NaN where rounding is all of them."""
    return np.where(variance > 1e-12 * mean**2, variance, np.nan)


def _charged(law: SupportLaw, workers: Workers, code: Code) -> int:
    """Return the true work of every packet, of those whose contents do not depend on who sends them."""
    if not (law.exchangeable or workers.shuffled):
        raise no_closed_form(code, "a trajectory of packets tied to workers")
    if workers.work == "true" and not law.equal_work:
        raise no_closed_form(code, "a trajectory of packets of unequal work")
    return int(law.occurring_work[0])


def _of_trace(
    workers: Workers, trace: Trace, time: float, n_subproducts: int, work: int, given: Floats, given_square: Floats, rounds: int
) -> tuple[float, float, Floats]:
    """Return mean and variance of the loss of a round, and covariances of its expectations given the row, by lag."""
    answered = trace.answered(workers.unit_time(time, n_subproducts, work, workers.speed()))
    keep = thinned(np.eye(workers.count + 1), workers.loss_probability)  # of so many that answered
    row, square = (keep @ given)[answered], (keep @ given_square)[answered]
    mean = float(row.mean())
    covariance = np.zeros(rounds)
    covariance[0] = np.mean((row - mean) ** 2)
    if trace.replay != "random":
        # The next row is the following one unless a block has ended (docs/mathematics.md §4).
        going_on = 1.0 if trace.block is None else 1.0 - int(2.0**32 / trace.block) / 2.0**32
        for lag in range(1, rounds):
            covariance[lag] = going_on**lag * np.mean((row - mean) * (np.roll(row, -lag) - mean))
    return mean, float(square.mean()) - mean**2, covariance


def _in_states(workers: Workers, states: Markov, time: float, n_subproducts: int, work: int) -> list[tuple[Floats, int]]:
    """Return, for workers of every speed, the chance to arrive in every state, shape (S,), and how many they are."""
    kinds, number = workers.kinds()
    own = [workers.unit_time(time, n_subproducts, work, speed) for speed, _ in kinds]
    chance = [np.array([float(law.cdf(t)) for law in states.laws]) * (1.0 - workers.loss_probability) for t in own]
    return list(zip(chance, np.bincount(number).tolist(), strict=True))


def _of_states(
    chance: Floats, workers: list[tuple[Floats, int]], states: Markov, given: Floats, given_square: Floats, rounds: int
) -> tuple[float, float, Floats]:
    """Return mean and variance of the loss of a round, and covariances of E[loss | N] by lag, from Pr[N] and Pr[N, N'].

    (N, N') of two rounds is the sum over workers of pairs of arrivals, each a 2×2 table.
    """
    mean = float(chance @ given)
    away = given - mean
    covariance = np.empty(rounds)
    covariance[0] = chance @ away**2
    lags = np.arange(1, rounds)
    later = np.array([states.ahead(lag) for lag in lags.tolist()]).reshape(-1, len(states.laws), len(states.laws))
    step = max(AT_ONCE // given.size**2, 1)
    for start in range(0, lags.size, step):
        ahead = later[start : start + step]
        joint = np.zeros((len(ahead), given.size, given.size))
        joint[:, 0, 0] = 1.0
        done = 0
        for arrived, count in workers:
            alone = float(states.stationary @ arrived)
            both = np.einsum("s,lst,t->l", states.stationary * arrived, ahead, arrived)
            one, none = (alone - both)[:, None, None], (1.0 - 2.0 * alone + both)[:, None, None]
            for _ in range(count):
                done += 1
                old = joint[:, :done, :done].copy()
                joint[:, : done + 1, : done + 1] *= none
                joint[:, 1 : done + 1, :done] += one * old
                joint[:, :done, 1 : done + 1] += one * old
                joint[:, 1 : done + 1, 1 : done + 1] += both[:, None, None] * old
        covariance[1 + start : 1 + start + len(ahead)] = np.einsum("i,lij,j->l", away, joint, away)
    return mean, float(chance @ given_square) - mean**2, covariance

"""Completion times from count-domain tallies: when enough is decoded, if the master waits for it (docs/mathematics.md §4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, instance
from uepgpu.partition import Partition
from uepgpu.tally.axis import View, received_weight, view
from uepgpu.tally.counts import Counts
from uepgpu.tally.estimates import attributes, check_partition, frequency, pattern_loss
from uepgpu.tally.events import Events, classes_undecoded, possible_patterns
from uepgpu.tally.intervals import batch_stderr, t_factor
from uepgpu.text.variables import dataset as labelled
from uepgpu.theory.completion import ROUNDING, Until, check_levels, check_until
from uepgpu.theory.integrals import integral, least_time, steps
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["completion_time"]

Floats = NDArray[np.float64]


def completion_time(
    counts: Counts, part: Partition | None, workers: Workers, until: Until, quantiles: ArrayLike, times: ArrayLike | None
) -> xr.Dataset:
    """See :meth:`Tally.completion_time`."""
    goal, levels = check_until(until, counts.n_classes), check_levels(quantiles)
    instance("workers", workers, Workers)
    if counts.domain == "deadline":
        raise ValueError("completion times need a count-domain tally: this one was simulated at fixed deadlines")
    view(counts, workers, [0.0])  # refuses workers that the tally does not serve
    waiting = _Waiting(counts, workers, _missing(counts, part, workers, goal))
    data = waiting.moments(until)
    for name, curve in (("quantile_time", 0), ("quantile_low", 2), ("quantile_high", 1)):
        data[name] = ("quantile", least_time(partial(waiting.reached, curve, levels), levels.size))
    at = np.zeros(0) if times is None else deadlines_array(times, "times")
    for name, values in zip(("cdf", "cdf_low", "cdf_high"), waiting.cdf(at), strict=True):
        data[name] = ("time", values)
    return labelled(data, {"quantile": levels, "time": at}, attributes(counts) | {"until": until}, workers.time_unit)


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A goal that realizations of a tally reach once enough packets have arrived, and workers who send them."""

    counts: Counts
    workers: Workers
    missing: Events

    @property
    def undecoded(self) -> Floats:
        """How many realizations of each sub-batch have not reached the goal, by received packets, (32, W + 1)."""
        return self.missing.counts[:, :, 0].astype(np.float64)

    def received(self, at: Floats) -> Floats:
        """Return Pr[N(t) = N], (points, W + 1)."""
        return received_weight(self.counts, self.workers, at)

    def cdf(self, at: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the share of realizations that are complete, and the bounds of its 95 % interval."""
        if not at.size:
            return at, at, at
        share, _, low, high = frequency(self.counts, View("time", at, self.received(at)), self.missing)
        return 1.0 - share[:, 0], 1.0 - high[:, 0], 1.0 - low[:, 0]

    def reached(self, curve: int, levels: Floats, at: Floats) -> NDArray[np.bool_]:
        """Return whether the distribution function, or a bound of it, has reached levels, each at a time of its own."""
        return np.asarray(self.cdf(at)[curve] >= levels * (1 - ROUNDING))

    def moments(self, until: Until) -> dict[str, Any]:
        """Return the mean with its error, the standard deviation, and the share that never completes."""
        n, sizes, undecoded = self.counts.realizations, self.counts.sub_batch_sizes, self.undecoded
        ever = self.received(np.array([np.inf]))[0]
        never = float(ever @ undecoded.sum(axis=0) / n)
        if never >= 1:
            raise ValueError(f"until={until!r} is never reached in {n:,} realizations")

        def rest(at: Floats) -> Floats:
            left = self.received(at) - ever
            # The rounding of a difference must not look like a tail.
            return np.where(np.abs(left) > ROUNDING * ever, left, 0.0) @ undecoded.T / n

        extremes = least_time(lambda t: rest(t).sum(axis=1) <= np.array([1 - 1e-14, 0.5]) * (1 - never), 2)
        if extremes[1] == 0:
            return dict.fromkeys(("mean", "mean_stderr", "mean_low", "mean_high", "mean_error", "sd"), 0.0) | {"never": never}
        jumps = steps(self.workers, self.counts.classes.size, [self.counts.packet_work or 1])
        found = integral(rest, max(float(extremes[0]), 1e-300), float(extremes[1]), jumps)
        mean, second, error = (float(x.sum()) / (1 - never) for x in (found.first, found.second, found.first_error))
        stderr, half = np.nan, np.inf
        if np.isfinite(mean):
            # A ratio of two means: what a sub-batch adds to its numerator beyond what it adds to the denominator.
            residual = n * found.first - mean * (sizes - undecoded @ ever)
            spread, freedom = batch_stderr(residual[:, None], sizes)
            stderr = float(spread[0]) / (1 - never)
            half = float(t_factor(freedom)) * stderr if freedom else np.inf
        finite = np.isfinite(mean) and np.isfinite(half)
        return {
            "mean": mean,
            "mean_stderr": stderr,
            "mean_low": max(mean - half, 0.0) if finite else 0.0,
            "mean_high": mean + half if finite else np.inf,
            "mean_error": error,
            "sd": float(np.sqrt(max(second - mean**2, 0.0))) if np.isfinite(second) else np.inf,
            "never": never,
        }


def _missing(counts: Counts, part: Partition | None, workers: Workers, goal: Until) -> Events:
    """Return the event that the goal is not reached, by received packets."""
    if isinstance(goal, float):
        if part is None:
            raise ValueError("part must be given for the time until a loss: its Gram matrix turns counts into losses")
        if not counts.class_wise:
            raise ValueError(
                "the time until a loss needs a code that decodes class by class: pairs of sub-products give its mean alone"
            )
        check_partition(counts, part, workers)
        lost = pattern_loss(counts, part) > goal * part.norm2 * (1 + 1e-12)
        may = possible_patterns(counts)
        happens, not_ = may @ lost[:, None], may @ ~lost[:, None]
        return Events(counts.patterns @ lost[:, None].astype(np.int64), happens, not_)
    classes = classes_undecoded(counts)
    if isinstance(goal, int):
        return classes[np.array([goal - 1])]
    some = counts.patterns[:, :, :-1].sum(axis=2, keepdims=True)
    may_happen, may_not = np.any(classes.may_happen, axis=1)[:, None], np.all(classes.may_not, axis=1)[:, None]
    return Events(some, may_happen, may_not)

"""Estimates from tallies: mean losses and probabilities, with their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import instance
from uepgpu.partition import Partition
from uepgpu.tally.axis import View, view
from uepgpu.tally.counts import Counts
from uepgpu.tally.events import (
    Events,
    class_pairs,
    classes_undecoded,
    pairs_undecoded,
    possible_patterns,
    subproducts_undecoded,
)
from uepgpu.tally.intervals import ENOUGH, batch_stderr, clopper_pearson, t_factor
from uepgpu.text.variables import dataset as labelled
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "ROUNDING",
    "attributes",
    "bounds_by_pattern",
    "check_partition",
    "decoding_probability",
    "frequency",
    "loss",
    "loss_along",
    "loss_events",
    "over",
    "pattern_loss",
    "subproduct_probability",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING = 1e-12
"""Relative rounding of the sums behind an estimate."""


@dataclass(frozen=True, eq=False)
class Shares:
    """How often events happen, as far as it is certain and as far as chance decides; on the resulting axis.

    Attributes
    ----------
    n : int
        Number of realizations.
    total : (D, E) float64
        In how many realizations they happened, certain or not.
    certain : (D, E) float64
        The share that no realization could have changed.
    seen : (D, E) float64
        In how many realizations they happened while chance decided.
    width : (D, E) float64
        What that would be, at the most, in one realization: how much of the axis's weight chance decides.
    """

    n: int
    total: Floats
    certain: Floats
    seen: Floats
    width: Floats

    @classmethod
    def of(cls, view: View, counts: NDArray[np.int64], open_at: NDArray[np.bool_], n: int) -> Shares:
        """Return the shares of events with counts (32, T, E), of which `open_at` (T, E) says when chance decides."""
        whole = counts.sum(axis=0)
        parts = (whole, np.where(open_at, 0, whole), np.where(open_at, whole, 0), open_at)
        total, certain, seen, width = (view(part) for part in parts)
        return cls(n, total, certain / n, seen, width)

    @property
    def scaled(self) -> Floats:
        """In how many realizations they happened of those that chance decided, as weights in [0, 1] count them, (D, E)."""
        return np.divide(self.seen, self.width, out=np.zeros_like(self.seen), where=self.width > 0)

    def bounds(self, alpha: float | Floats) -> tuple[Floats, Floats]:
        """Return exact bounds of the shares, of error `alpha` / 2 on either side: none where nothing is left to chance."""
        low, high = clopper_pearson(self.scaled, self.n, alpha)
        return self.certain + self.width * low, self.certain + self.width * high


def check_partition(counts: Counts, part: Partition, workers: Workers | None) -> None:
    """Raise ``ValueError`` unless the tally serves the partition, and workers at their cost."""
    instance("part", part, Partition)
    if workers is not None and workers.work == "true" and part.paradigm != counts.paradigm:
        raise ValueError(
            f"workers.work='true', but this tally is of {counts.paradigm} packets, whose true work is not that of {part.paradigm} "
            "packets: simulate with the partition"
        )
    if counts.sums and part.paradigm != "cxr":
        raise ValueError(
            "this tally counts sums of sub-products, which are parts of a cxr product and not of an rxc one: simulate with the "
            "partition"
        )
    if not np.array_equal(part.classes, counts.classes):
        raise ValueError(
            f"the partition's classes {part.classes.tolist()} differ from the tally's {counts.classes.tolist()}: a tally serves "
            "any matrices, but only with the classes that were simulated"
        )


def loss_events(counts: Counts, part: Partition) -> tuple[Events, Ints, Ints, Floats]:
    """Return the pairs of classes or sub-products that the loss weighs, both undecoded, with their weights."""
    gram = part.class_gram if counts.class_wise else part.gram
    left, right = np.tril_indices(gram.shape[0])
    weight = gram[left, right] * np.where(left == right, 1.0, 2.0)
    keep = weight != 0
    left, right, weight = left[keep], right[keep], weight[keep]
    if counts.class_wise:
        return class_pairs(counts, left, right), left, right, weight
    if counts.pairs is None and np.any(left != right):
        raise ValueError("this tally holds marginals, but the partition's Gram matrix has cross terms: simulate with tally='pairs'")
    return pairs_undecoded(counts, left, right), left, right, weight


def loss(counts: Counts, part: Partition, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.loss`."""
    seen = view(counts, workers, deadlines)
    check_partition(counts, part, workers)
    return loss_along(counts, part, seen)


def loss_along(counts: Counts, part: Partition, seen: View) -> xr.Dataset:
    """Return the mean loss along any axis, as :meth:`Tally.loss` does."""
    events, left, right, weight = loss_events(counts, part)
    n = counts.realizations
    shares = Shares.of(seen, events.counts, events.open, n)
    mean = shares.total @ weight / n
    if counts.class_wise and seen.weight is None:
        stderr, freedom = _pattern_stderr(counts, part, mean, n)
    else:
        stderr, freedom = batch_stderr(seen(events.counts) @ weight, counts.sub_batch_sizes)
    if counts.class_wise and np.any(left != right):
        low, high = bounds_by_pattern(
            counts, seen, np.broadcast_to(pattern_loss(counts, part), (mean.size, counts.patterns.shape[2]))
        )
        return _dataset(counts, part, seen, mean, stderr, np.maximum(low, 0.0), high)
    half = t_factor(max(freedom, 1)) * np.nan_to_num(stderr)
    own = left == right
    enough = _enough(seen, events[own], Shares.of(seen, events.counts[:, :, own], events.open[:, own], n))
    normal = enough.all(axis=1) & (freedom > 0) & (_unseen(seen, events, left, right, weight, n) <= half / 4)
    low, high = _bounds_by_event(shares, weight)
    # Where every realization gives the same, the half-width is 0; what is left is the rounding of the sums.
    half = np.maximum(half, ROUNDING * np.abs(mean))
    low = np.where(normal, mean - half, low)
    high = np.where(normal, mean + half, high)
    return _dataset(counts, part, seen, mean, stderr, np.maximum(low, 0.0), high)


def _pattern_stderr(counts: Counts, part: Partition, mean: Floats, n: int) -> tuple[Floats, int]:
    """Exact sample variance: the loss of a realization is a function of its pattern."""
    value = pattern_loss(counts, part)
    histogram = counts.patterns.sum(axis=0).astype(np.float64)
    if n < 2:
        return np.full(mean.shape, np.nan), 0
    spread = np.einsum("tp,tp->t", histogram, (value[None, :] - mean[:, None]) ** 2) / (n - 1)
    return np.sqrt(spread / n), n - 1


def pattern_loss(counts: Counts, part: Partition) -> Floats:
    """Return the loss of each class pattern, shape (2^L,)."""
    missing = 1.0 - ((np.arange(counts.patterns.shape[2])[:, None] >> np.arange(counts.n_classes)[None, :]) & 1)
    value: Floats = np.maximum(np.einsum("pi,ij,pj->p", missing, part.class_gram, missing), 0.0)
    return value


def _enough(seen: View, events: Events, shares: Shares) -> NDArray[np.bool_]:
    """Return where there are effectively at least 30 failures and 30 successes, or nothing is left to chance, shape (D, U).

    (Σv)²/Σv² is the number of failures that carry as much information as weights v; for counts it is their number.
    """
    n, undecoded = shares.n, events.counts.sum(axis=0).astype(np.float64)
    failing, succeeding = seen.second_moments(undecoded, n, events.open, shares.width)
    with np.errstate(divide="ignore", invalid="ignore"):
        failures, successes = np.nan_to_num(shares.scaled**2 / failing), np.nan_to_num((n - shares.scaled) ** 2 / succeeding)
    return np.asarray((shares.width == 0) | ((failures >= ENOUGH) & (successes >= ENOUGH)))


def _unseen(seen: View, events: Events, left: Ints, right: Ints, weight: Floats, n: int) -> Floats:
    """Return what losing only one of two correlated units could add to the loss, where that was hardly seen, shape (D,)."""
    place = {int(u): e for e, u in enumerate(left) if left[e] == right[e]}
    alone = [(e, place[int(u)]) for e in np.flatnonzero(left != right) for u in (left[e], right[e]) if int(u) in place]
    if not alone:
        return np.zeros(len(seen.coordinate))
    pair, unit = np.array(alone).T
    open_at = events.may_happen[:, unit] & events.may_not[:, pair]
    shares = Shares.of(seen, events.counts[:, :, unit] - events.counts[:, :, pair], open_at, n)
    _, high = shares.bounds(0.05)
    return np.asarray(np.where(shares.scaled < ENOUGH, high - shares.total / n, 0.0) @ np.abs(weight[pair]))


def bounds_by_pattern(counts: Counts, seen: View, value: Floats) -> tuple[Floats, Floats]:
    """Return bounds of the mean of a function of the class pattern, `value` (D, 2^L), in which a rare pattern may decide.

    Patterns seen at least 30 times give a Student interval; each rarer one that is possible has its own exact bounds
    (Bonferroni). Values are taken relative to the commonest pattern's, so a pattern that nearly always occurs does not widen them.
    """
    n = counts.realizations
    possible = possible_patterns(counts)
    open_at = possible & (possible.sum(axis=1, keepdims=True) > 1)
    shares = Shares.of(seen, counts.patterns, open_at, n)
    commonest = np.where(shares.width > 0, shares.seen, -1.0).argmax(axis=1)
    usual = np.take_along_axis(value, commonest[:, None], axis=1)[:, 0]
    excess = np.where(shares.width > 0, value - usual[:, None], 0.0)
    rare = (shares.scaled < ENOUGH) & (excess != 0)
    alpha = 0.05 / (1 + rare.sum(axis=1))
    common = np.where(rare, 0.0, excess)
    mean = np.einsum("dp,dp->d", shares.seen, common) / n
    if seen.weight is None and n > 1:
        stderr = np.sqrt(np.einsum("dp,dp->d", shares.seen, (common - mean[:, None]) ** 2) / (n - 1) / n)
        freedom = n - 1
    else:
        sums = seen(np.where(open_at, counts.patterns, 0))
        stderr, freedom = batch_stderr(np.einsum("bdp,dp->bd", sums, common), counts.sub_batch_sizes)
    half = t_factor(max(freedom, 1), 1 - alpha) * np.nan_to_num(stderr)
    low, high = shares.bounds(alpha[:, None])
    low, high = low - shares.certain, high - shares.certain
    towards_low = np.where(rare, np.where(excess > 0, low, high) * excess, 0.0).sum(axis=1)
    towards_high = np.where(rare, np.where(excess > 0, high, low) * excess, 0.0).sum(axis=1)
    # What is certain, and the commonest pattern for all that is not.
    left_to_chance = seen(open_at.any(axis=1, keepdims=True))[:, 0]
    base = (shares.certain * value).sum(axis=1) + left_to_chance * usual
    slack = ROUNDING * np.abs(base + mean)
    if freedom == 0:
        least, most = value.min(axis=1), value.max(axis=1)
        return base + left_to_chance * (least - usual) - slack, base + left_to_chance * (most - usual) + slack
    return base + mean - half + towards_low - slack, base + mean + half + towards_high + slack


def _bounds_by_event(shares: Shares, weight: Floats) -> tuple[Floats, Floats]:
    """Return bounds of the loss from simultaneous exact bounds of every event that chance decides (Bonferroni)."""
    undecided = np.maximum((shares.width > 0).sum(axis=1, keepdims=True), 1)
    low, high = shares.bounds(0.05 / undecided)
    return np.where(weight > 0, low, high) @ weight, np.where(weight > 0, high, low) @ weight


def _dataset(counts: Counts, part: Partition, seen: View, mean: Floats, stderr: Floats, low: Floats, high: Floats) -> xr.Dataset:
    values = {"loss": mean, "loss_stderr": stderr, "loss_low": low, "loss_high": high}
    scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
    data = {name: (seen.dimension, value) for name, value in values.items()}
    data |= {f"normalized_{name}": (seen.dimension, value * scale) for name, value in values.items()}
    return over(seen, data, {}, counts)


def over(seen: View, data: dict[str, Any], coords: dict[str, Any], counts: Counts) -> xr.Dataset:
    """Return a Dataset over the time axis and further coordinates, with what was simulated as attributes."""
    return labelled(data, {seen.dimension: seen.coordinate, **coords}, attributes(counts), seen.time_unit)


def attributes(counts: Counts) -> dict[str, Any]:
    """Return what was simulated, as attributes of a Dataset."""
    return {name: getattr(counts, name) for name in ("code", "realizations", "seed", "backend", "decoder", "domain")}


def frequency(counts: Counts, seen: View, events: Events) -> tuple[Floats, Floats, Floats, Floats]:
    """Return how often events happen, its standard error and its 95 % interval, (D, E) each.

    Exact binomial bounds (Clopper-Pearson); for mixtures of received counts Student's t where an event has been seen to happen
    and not to happen at least 30 times.
    """
    n = counts.realizations
    shares = Shares.of(seen, events.counts, events.open, n)
    share = np.clip(shares.total / n, 0.0, 1.0)
    low, high = shares.bounds(0.05)
    if seen.weight is None:
        stderr = np.sqrt(share * (1 - share) / n)
    else:
        stderr, freedom = batch_stderr(seen(events.counts), counts.sub_batch_sizes)
        half = t_factor(max(freedom, 1)) * np.nan_to_num(stderr)
        normal = _enough(seen, events, shares) & (freedom > 0)
        low = np.where(normal, share - half, low)
        high = np.where(normal, share + half, high)
    return share, stderr, np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def _probability(counts: Counts, seen: View, events: Events, name: str, labels: NDArray[np.int64]) -> xr.Dataset:
    """Turn events that units are undecoded into decoding probabilities."""
    share, stderr, low, high = frequency(counts, seen, events)
    dims = (seen.dimension, name)
    values = {"probability": 1.0 - share, "stderr": stderr, "low": 1.0 - high, "high": 1.0 - low}
    return over(seen, {key: (dims, value) for key, value in values.items()}, {name: labels}, counts)


def decoding_probability(counts: Counts, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.decoding_probability`."""
    seen = view(counts, workers, deadlines)
    return _probability(counts, seen, classes_undecoded(counts), "class", np.arange(1, counts.n_classes + 1))


def subproduct_probability(counts: Counts, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.subproduct_probability`."""
    seen = view(counts, workers, deadlines)
    return _probability(counts, seen, subproducts_undecoded(counts), "subproduct", np.arange(counts.classes.size))

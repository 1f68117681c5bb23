"""Estimates from tallies: losses, probabilities and quantiles, with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import instance, shown
from uepgpu.partition import Partition
from uepgpu.tally.axis import View, view
from uepgpu.tally.counts import Counts
from uepgpu.tally.intervals import ENOUGH, batch_stderr, clopper_pearson, t_factor
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["decoding_probability", "loss", "loss_quantile", "subproduct_probability"]

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Relative rounding of the sums behind an estimate."""


@dataclass(frozen=True, eq=False)
class Events:
    """Pairs of units (classes or sub-products) both undecoded, with what each contributes to the loss.

    Attributes
    ----------
    left, right : (E,) int64
        Units, right <= left.
    weight : (E,) float64
        Contribution to the loss: G, twice G off the diagonal.
    counts : (32, T, E) int64
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    weight: Floats
    counts: NDArray[np.int64]


def _events(counts: Counts, part: Partition, workers: Workers | None = None) -> Events:
    instance("part", part, Partition)
    if workers is not None and workers.work == "true" and part.paradigm != counts.paradigm:
        raise ValueError(
            f"workers.work='true', but this tally is of {counts.paradigm} packets, whose true work is not that of {part.paradigm} "
            "packets: simulate with the partition"
        )
    if not np.array_equal(part.classes, counts.classes):
        raise ValueError(
            f"the partition's classes {part.classes.tolist()} differ from the tally's {counts.classes.tolist()}: a tally serves "
            "any matrices, but only with the classes that were simulated"
        )
    gram = part.class_gram if counts.class_wise else part.gram
    left, right = np.tril_indices(gram.shape[0])
    weight = gram[left, right] * np.where(left == right, 1.0, 2.0)
    keep = weight != 0
    left, right, weight = left[keep], right[keep], weight[keep]
    if counts.class_wise:
        both = (1 << left) | (1 << right)
        inside = (np.arange(counts.patterns.shape[2])[:, None] & both[None, :]) == 0
        return Events(left, right, weight, counts.patterns @ inside.astype(np.int64))
    if counts.pairs is not None:
        return Events(left, right, weight, counts.pairs[:, :, keep])
    assert counts.marginals is not None
    if np.any(left != right):
        raise ValueError("this tally holds marginals, but the partition's Gram matrix has cross terms: simulate with tally='pairs'")
    return Events(left, right, weight, counts.marginals[:, :, left])


def loss(counts: Counts, part: Partition, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.loss`."""
    seen = view(counts, workers, deadlines)
    events = _events(counts, part, workers)
    sizes = counts.sub_batch_sizes
    n = counts.realizations
    sums = seen(events.counts)  # (32, D, E)
    totals = sums.sum(axis=0)
    mean = totals @ events.weight / n
    if counts.class_wise and seen.weight is None:
        stderr, freedom = _pattern_stderr(counts, part, mean, n)
    else:
        stderr, freedom = batch_stderr(sums @ events.weight, sizes)
    if counts.class_wise and np.any(events.left != events.right):
        low, high = _bounds_by_pattern(counts, part, seen, sizes)
        return _dataset(counts, part, seen, mean, stderr, np.maximum(low, 0.0), high)
    diagonal = events.left == events.right
    undecoded = events.counts.sum(axis=0)[:, diagonal].astype(np.float64)
    enough = _enough(seen, undecoded, totals[:, diagonal], n)
    half = t_factor(max(freedom, 1)) * np.nan_to_num(stderr)
    normal = enough.all(axis=1) & (freedom > 0) & (_unseen(events, totals, n) <= half / 4)
    low, high = _bounds_by_event(totals, events.weight, n)
    # Where every realization gives the same, the half-width is 0; what is left is the rounding of the sums.
    half = np.maximum(half, ROUNDING * np.abs(mean))
    low = np.where(normal, mean - half, low)
    high = np.where(normal, mean + half, high)
    return _dataset(counts, part, seen, mean, stderr, np.maximum(low, 0.0), high)


def _pattern_stderr(counts: Counts, part: Partition, mean: Floats, n: int) -> tuple[Floats, int]:
    """Exact sample variance: the loss of a realization is a function of its pattern."""
    value = _pattern_loss(counts, part)
    histogram = counts.patterns.sum(axis=0).astype(np.float64)
    if n < 2:
        return np.full(mean.shape, np.nan), 0
    spread = np.einsum("tp,tp->t", histogram, (value[None, :] - mean[:, None]) ** 2) / (n - 1)
    return np.sqrt(spread / n), n - 1


def _pattern_loss(counts: Counts, part: Partition) -> Floats:
    """Return the loss of each class pattern, shape (2^L,)."""
    missing = 1.0 - ((np.arange(counts.patterns.shape[2])[:, None] >> np.arange(counts.n_classes)[None, :]) & 1)
    value: Floats = np.maximum(np.einsum("pi,ij,pj->p", missing, part.class_gram, missing), 0.0)
    return value


def _enough(seen: View, undecoded: Floats, missed: Floats, n: int) -> NDArray[np.bool_]:
    """Return where there are effectively at least 30 failures and 30 successes, shape (D, U).

    (Σv)²/Σv² is the number of failures that carry as much information as weights v; for counts it is their number.
    """
    failing, succeeding = seen.second_moment(undecoded, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        failures, successes = np.nan_to_num(missed**2 / failing), np.nan_to_num((n - missed) ** 2 / succeeding)
    return (failures >= ENOUGH) & (successes >= ENOUGH)


def _unseen(events: Events, totals: Floats, n: int) -> Floats:
    """Return what losing only one of two correlated units could add to the loss, where that was hardly seen, shape (D,)."""
    alone = np.zeros(totals.shape[0])
    place = {int(u): e for e, u in enumerate(events.left) if events.left[e] == events.right[e]}
    for e in np.flatnonzero(events.left != events.right):
        for unit in (int(events.left[e]), int(events.right[e])):
            if unit in place:
                single = totals[:, place[unit]] - totals[:, e]
                _, high = clopper_pearson(single, n, 0.05)
                alone += np.where(single < ENOUGH, np.abs(events.weight[e]) * (high - single / n), 0.0)
    return alone


def _bounds_by_pattern(counts: Counts, part: Partition, seen: View, sizes: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return bounds of the loss where terms of different classes can cancel, so that a rare class pattern may decide.

    Patterns seen at least 30 times give a Student interval; each rarer one has its own exact bounds (Bonferroni). Losses are
    taken relative to the commonest pattern's, so a pattern that nearly always occurs does not widen them.
    """
    n = counts.realizations
    sums = seen(counts.patterns)  # (32, D, 2^L)
    totals = sums.sum(axis=0)
    value = _pattern_loss(counts, part)
    usual = value[totals.argmax(axis=1)]
    excess = value[None, :] - usual[:, None]
    rare = (totals < ENOUGH) & (excess != 0)
    alpha = 0.05 / (1 + rare.sum(axis=1))
    common = np.where(rare, 0.0, excess)
    mean = np.einsum("dp,dp->d", totals, common) / n
    if seen.weight is None and n > 1:
        stderr = np.sqrt(np.einsum("dp,dp->d", totals, (common - mean[:, None]) ** 2) / (n - 1) / n)
        freedom = n - 1
    else:
        stderr, freedom = batch_stderr(np.einsum("bdp,dp->bd", sums, common), sizes)
    half = t_factor(max(freedom, 1), 1 - alpha) * np.nan_to_num(stderr)
    low, high = clopper_pearson(totals, n, alpha[:, None])
    towards_low = np.where(rare, np.where(excess > 0, low, high) * excess, 0.0).sum(axis=1)
    towards_high = np.where(rare, np.where(excess > 0, high, low) * excess, 0.0).sum(axis=1)
    slack = ROUNDING * np.abs(usual + mean)
    if freedom == 0:
        return np.zeros_like(usual), np.full_like(usual, value.max())
    return usual + mean - half + towards_low - slack, usual + mean + half + towards_high + slack


def _bounds_by_event(totals: Floats, weight: Floats, n: int) -> tuple[Floats, Floats]:
    """Return bounds of the loss from simultaneous exact bounds of every event (Bonferroni)."""
    if weight.size == 0:
        return np.zeros(totals.shape[0]), np.zeros(totals.shape[0])
    low, high = clopper_pearson(totals, n, 0.05 / weight.size)
    least = np.where(weight > 0, low, high) @ weight
    most = np.where(weight > 0, high, low) @ weight
    return least, most


def _dataset(counts: Counts, part: Partition, seen: View, mean: Floats, stderr: Floats, low: Floats, high: Floats) -> xr.Dataset:
    values = {"loss": mean, "loss_stderr": stderr, "loss_low": low, "loss_high": high}
    scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
    data = {name: (seen.dimension, value) for name, value in values.items()}
    data |= {f"normalized_{name}": (seen.dimension, value * scale) for name, value in values.items()}
    return _over(seen, data, {}, counts)


def _over(seen: View, data: dict[str, Any], coords: dict[str, Any], counts: Counts) -> xr.Dataset:
    """Return a Dataset over the time axis and further coordinates, with what was simulated as attributes."""
    import xarray as xr

    attributes = {name: getattr(counts, name) for name in ("code", "realizations", "seed", "backend", "decoder", "domain")}
    return xr.Dataset(data, coords={seen.dimension: seen.coordinate, **coords}, attrs=attributes)


def _probability(counts: Counts, seen: View, undecoded: NDArray[np.int64], name: str, labels: NDArray[np.int64]) -> xr.Dataset:
    """Turn counts of undecoded units (32, T, U) into decoding probabilities."""
    n = counts.realizations
    sums = seen(undecoded)
    missed = sums.sum(axis=0)
    probability = np.clip(1.0 - missed / n, 0.0, 1.0)
    low, high = clopper_pearson(missed, n, 0.05)
    low, high = 1.0 - high, 1.0 - low
    if seen.weight is None:
        stderr = np.sqrt(probability * (1 - probability) / n)
    else:
        stderr, freedom = batch_stderr(sums, counts.sub_batch_sizes)
        enough = _enough(seen, undecoded.sum(axis=0).astype(np.float64), missed, n)
        half = t_factor(max(freedom, 1)) * np.nan_to_num(stderr)
        normal = enough & (freedom > 0)
        low = np.where(normal, np.maximum(probability - half, 0.0), low)
        high = np.where(normal, np.minimum(probability + half, 1.0), high)
    dims = (seen.dimension, name)
    data = {"probability": (dims, probability), "stderr": (dims, stderr), "low": (dims, low), "high": (dims, high)}
    return _over(seen, data, {name: labels}, counts)


def _undecoded_classes(counts: Counts) -> NDArray[np.int64]:
    bits = np.arange(counts.patterns.shape[2])[:, None] >> np.arange(counts.n_classes)[None, :]
    undecoded: NDArray[np.int64] = counts.patterns @ (1 - (bits & 1))
    return undecoded


def decoding_probability(counts: Counts, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.decoding_probability`."""
    seen = view(counts, workers, deadlines)
    return _probability(counts, seen, _undecoded_classes(counts), "class", np.arange(1, counts.n_classes + 1))


def subproduct_probability(counts: Counts, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.subproduct_probability`."""
    seen = view(counts, workers, deadlines)
    k = counts.classes.size
    if counts.class_wise:
        undecoded = _undecoded_classes(counts)[:, :, counts.classes - 1]
    elif counts.pairs is not None:
        i = np.arange(k)
        undecoded = counts.pairs[:, :, i * (i + 1) // 2 + i]
    else:
        assert counts.marginals is not None
        undecoded = counts.marginals
    return _probability(counts, seen, undecoded, "subproduct", np.arange(k))


def loss_quantile(
    counts: Counts, part: Partition, q: float | Sequence[float], workers: Workers | None, deadlines: ArrayLike | None
) -> xr.Dataset:
    """See :meth:`Tally.loss_quantile`."""
    if not counts.class_wise:
        raise ValueError("quantiles of the loss need a code that decodes class by class: pairs of sub-products give its mean alone")
    _events(counts, part, workers)
    levels = np.atleast_1d(np.asarray(q, dtype=np.float64))
    if levels.ndim != 1 or np.any(~((levels >= 0) & (levels <= 1))):
        raise ValueError(f"q must lie in [0, 1], got {shown(q)}")
    seen = view(counts, workers, deadlines)
    value = _pattern_loss(counts, part)
    order = np.argsort(value, kind="stable")
    share = np.cumsum(seen(counts.patterns).sum(axis=0)[:, order], axis=1) / counts.realizations
    # The least loss whose distribution function reaches q; the slack absorbs rounding of the sum.
    at = (share[:, None, :] < levels[None, :, None] - 1e-12).sum(axis=2)
    # Not below the least loss that occurred at all, for q = 0.
    at = np.maximum(at, (share > 0).argmax(axis=1)[:, None])
    quantile = value[order][np.minimum(at, value.size - 1)]
    dims = (seen.dimension, "quantile")
    scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
    data = {"loss": (dims, quantile), "normalized_loss": (dims, quantile * scale)}
    return _over(seen, data, {"quantile": levels}, counts)

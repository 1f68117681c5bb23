"""Estimates from tallies: losses, probabilities and quantiles, with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import instance
from uepgpu.partition import Partition
from uepgpu.tally.axis import View, view
from uepgpu.tally.intervals import ENOUGH, batch_stderr, clopper_pearson, t_factor
from uepgpu.tally.tally import Tally
from uepgpu.workers import Workers

__all__ = ["decoding_probability", "loss", "loss_quantile", "subproduct_probability"]

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Relative rounding of the sums behind an estimate."""


def sub_batch_sizes(tally: Tally) -> Floats:
    """Return how many realizations each sub-batch has, shape (32,)."""
    sizes: Floats = tally.patterns[:, 0].sum(axis=1).astype(np.float64)
    return sizes


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


def _events(tally: Tally, part: Partition, workers: Workers | None = None) -> Events:
    instance("part", part, Partition)
    if workers is not None and workers.work == "true" and part.paradigm != tally.paradigm:
        raise ValueError(
            f"workers.work='true', but this tally is of {tally.paradigm} packets, whose true work is not that of {part.paradigm} "
            "packets: simulate with the partition"
        )
    if not np.array_equal(part.classes, tally.classes):
        raise ValueError(
            f"the partition's classes {part.classes.tolist()} differ from the tally's {tally.classes.tolist()}: a tally serves any "
            "matrices, but only with the classes that were simulated"
        )
    gram = part.class_gram if tally.class_wise else part.gram
    left, right = np.tril_indices(gram.shape[0])
    weight = gram[left, right] * np.where(left == right, 1.0, 2.0)
    keep = weight != 0
    left, right, weight = left[keep], right[keep], weight[keep]
    if tally.class_wise:
        both = (1 << left) | (1 << right)
        inside = (np.arange(tally.patterns.shape[2])[:, None] & both[None, :]) == 0
        return Events(left, right, weight, tally.patterns @ inside.astype(np.int64))
    if tally.pairs is not None:
        return Events(left, right, weight, tally.pairs[:, :, keep])
    assert tally.marginals is not None
    if np.any(left != right):
        raise ValueError("this tally holds marginals, but the partition's Gram matrix has cross terms: simulate with tally='pairs'")
    return Events(left, right, weight, tally.marginals[:, :, left])


def loss(tally: Tally, part: Partition, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.loss`."""
    seen = view(tally, workers, deadlines)
    events = _events(tally, part, workers)
    sizes = sub_batch_sizes(tally)
    n = tally.realizations
    sums = seen(events.counts)  # (32, D, E)
    totals = sums.sum(axis=0)
    mean = totals @ events.weight / n
    if tally.class_wise and seen.weight is None:
        stderr, freedom = _pattern_stderr(tally, part, mean, n)
    else:
        stderr, freedom = batch_stderr(sums @ events.weight, sizes)
    if tally.class_wise and np.any(events.left != events.right):
        low, high = _bounds_by_pattern(tally, part, seen, sizes)
        return _dataset(tally, part, seen, mean, stderr, np.maximum(low, 0.0), high)
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
    return _dataset(tally, part, seen, mean, stderr, np.maximum(low, 0.0), high)


def _pattern_stderr(tally: Tally, part: Partition, mean: Floats, n: int) -> tuple[Floats, int]:
    """Exact sample variance: the loss of a realization is a function of its pattern."""
    value = _pattern_loss(tally, part)
    histogram = tally.patterns.sum(axis=0).astype(np.float64)
    if n < 2:
        return np.full(mean.shape, np.nan), 0
    spread = np.einsum("tp,tp->t", histogram, (value[None, :] - mean[:, None]) ** 2) / (n - 1)
    return np.sqrt(spread / n), n - 1


def _pattern_loss(tally: Tally, part: Partition) -> Floats:
    """Return the loss of each class pattern, shape (2^L,)."""
    missing = 1.0 - ((np.arange(tally.patterns.shape[2])[:, None] >> np.arange(tally.n_classes)[None, :]) & 1)
    value: Floats = np.maximum(np.einsum("pi,ij,pj->p", missing, part.class_gram, missing), 0.0)
    return value


def _enough(seen: View, undecoded: Floats, missed: Floats, n: int) -> NDArray[np.bool_]:
    """Return where there are as good as 30 failures and 30 successes, shape (D, U).

    (Σv)²/Σv² is the number of failures that would tell as much as weights v do; for counts it is their number.
    """
    failing, succeeding = seen.second_moment(undecoded, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        failures, successes = np.nan_to_num(missed**2 / failing), np.nan_to_num((n - missed) ** 2 / succeeding)
    return (failures >= ENOUGH) & (successes >= ENOUGH)


def _unseen(events: Events, totals: Floats, n: int) -> Floats:
    """Return what the loss may owe to losing just one of two correlated units, where that was hardly seen, shape (D,)."""
    alone = np.zeros(totals.shape[0])
    place = {int(u): e for e, u in enumerate(events.left) if events.left[e] == events.right[e]}
    for e in np.flatnonzero(events.left != events.right):
        for unit in (int(events.left[e]), int(events.right[e])):
            if unit in place:
                single = totals[:, place[unit]] - totals[:, e]
                _, high = clopper_pearson(single, n, 0.05)
                alone += np.where(single < ENOUGH, np.abs(events.weight[e]) * (high - single / n), 0.0)
    return alone


def _bounds_by_pattern(tally: Tally, part: Partition, seen: View, sizes: Floats) -> tuple[Floats, Floats]:
    """Return bounds of the loss where terms of different classes can cancel, so that a rare class pattern may decide.

    Patterns seen at least 30 times give a Student interval; each rarer one has its own exact bounds (Bonferroni). Losses are
    taken relative to the commonest pattern's, so that a pattern that nearly always occurs does no harm.
    """
    n = tally.realizations
    sums = seen(tally.patterns)  # (32, D, 2^L)
    totals = sums.sum(axis=0)
    value = _pattern_loss(tally, part)
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


def _dataset(tally: Tally, part: Partition, seen: View, mean: Floats, stderr: Floats, low: Floats, high: Floats) -> xr.Dataset:
    values = {"loss": mean, "loss_stderr": stderr, "loss_low": low, "loss_high": high}
    scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
    data = {name: (seen.dimension, value) for name, value in values.items()}
    data |= {f"normalized_{name}": (seen.dimension, value * scale) for name, value in values.items()}
    return xr.Dataset(data, coords={seen.dimension: seen.coordinate}, attrs=_attributes(tally))


def _attributes(tally: Tally) -> dict[str, str | int]:
    return {
        "code": tally.code,
        "realizations": tally.realizations,
        "seed": tally.seed,
        "backend": tally.backend,
        "decoder": tally.decoder,
        "domain": tally.domain,
    }


def _probability(tally: Tally, seen: View, undecoded: NDArray[np.int64], name: str, labels: NDArray[np.int64]) -> xr.Dataset:
    """Turn counts of undecoded units (32, T, U) into decoding probabilities."""
    n = tally.realizations
    sums = seen(undecoded)
    missed = sums.sum(axis=0)
    probability = np.clip(1.0 - missed / n, 0.0, 1.0)
    low, high = clopper_pearson(missed, n, 0.05)
    low, high = 1.0 - high, 1.0 - low
    if seen.weight is None:
        stderr = np.sqrt(probability * (1 - probability) / n)
    else:
        stderr, freedom = batch_stderr(sums, sub_batch_sizes(tally))
        enough = _enough(seen, undecoded.sum(axis=0).astype(np.float64), missed, n)
        half = t_factor(max(freedom, 1)) * np.nan_to_num(stderr)
        normal = enough & (freedom > 0)
        low = np.where(normal, np.maximum(probability - half, 0.0), low)
        high = np.where(normal, np.minimum(probability + half, 1.0), high)
    dims = (seen.dimension, name)
    data = {"probability": (dims, probability), "stderr": (dims, stderr), "low": (dims, low), "high": (dims, high)}
    return xr.Dataset(data, coords={seen.dimension: seen.coordinate, name: labels}, attrs=_attributes(tally))


def _undecoded_classes(tally: Tally) -> NDArray[np.int64]:
    bits = np.arange(tally.patterns.shape[2])[:, None] >> np.arange(tally.n_classes)[None, :]
    undecoded: NDArray[np.int64] = tally.patterns @ (1 - (bits & 1))
    return undecoded


def decoding_probability(tally: Tally, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.decoding_probability`."""
    seen = view(tally, workers, deadlines)
    return _probability(tally, seen, _undecoded_classes(tally), "class", np.arange(1, tally.n_classes + 1))


def subproduct_probability(tally: Tally, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.subproduct_probability`."""
    seen = view(tally, workers, deadlines)
    k = tally.classes.size
    if tally.class_wise:
        undecoded = _undecoded_classes(tally)[:, :, tally.classes - 1]
    elif tally.pairs is not None:
        i = np.arange(k)
        undecoded = tally.pairs[:, :, i * (i + 1) // 2 + i]
    else:
        assert tally.marginals is not None
        undecoded = tally.marginals
    return _probability(tally, seen, undecoded, "subproduct", np.arange(k))


def loss_quantile(
    tally: Tally, part: Partition, q: float | Sequence[float], workers: Workers | None, deadlines: ArrayLike | None
) -> xr.Dataset:
    """See :meth:`Tally.loss_quantile`."""
    if not tally.class_wise:
        raise ValueError("quantiles of the loss need a code that decodes class by class: pairs of sub-products give its mean alone")
    _events(tally, part, workers)
    levels = np.atleast_1d(np.asarray(q, dtype=np.float64))
    if levels.ndim != 1 or np.any(~((levels >= 0) & (levels <= 1))):
        raise ValueError(f"q must lie in [0, 1], got {q!r}")
    seen = view(tally, workers, deadlines)
    value = _pattern_loss(tally, part)
    order = np.argsort(value, kind="stable")
    share = np.cumsum(seen(tally.patterns).sum(axis=0)[:, order], axis=1) / tally.realizations
    # The least loss whose distribution function reaches q; the slack absorbs rounding of the sum.
    at = (share[:, None, :] < levels[None, :, None] - 1e-12).sum(axis=2)
    # Not below the least loss that occurred at all, for q = 0.
    at = np.maximum(at, (share > 0).argmax(axis=1)[:, None])
    quantile = value[order][np.minimum(at, value.size - 1)]
    dims = (seen.dimension, "quantile")
    scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
    data = {"loss": (dims, quantile), "normalized_loss": (dims, quantile * scale)}
    return xr.Dataset(data, coords={seen.dimension: seen.coordinate, "quantile": levels}, attrs=_attributes(tally))

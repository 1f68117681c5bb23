"""Estimates from tallies: losses, probabilities and quantiles, with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array
from uepgpu.intervals import ENOUGH, batch_stderr, clopper_pearson, t_factor
from uepgpu.partition import Partition
from uepgpu.tally import Tally
from uepgpu.workers import Workers

__all__ = ["decoding_probability", "loss", "loss_quantile", "subproduct_probability"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class View:
    """How the time axis of a tally is looked at: as it is, or mixed by the law of the number of packets received.

    Attributes
    ----------
    dimension, coordinate
        Name and values of the resulting axis, D of them.
    weight : (D, T) float64 or None
        Pr[N(t) = N]; None where the axis is taken as it is.
    """

    dimension: str
    coordinate: Floats | NDArray[np.int64]
    weight: Floats | None

    def __call__(self, counts: NDArray[np.int64]) -> Floats:
        """Return counts (B, T, ...) on the resulting axis, (B, D, ...)."""
        values = counts.astype(np.float64)
        return values if self.weight is None else np.einsum("dt,bt...->bd...", self.weight, values)

    def second_moment(self, undecoded: Floats, n: int) -> tuple[Floats, Floats]:
        """Return the sums of v² and (1-v)² over realizations, v the weight with which each is undecoded.

        `undecoded` (T, U) counts realizations by time; both results (D, U).
        """
        if self.weight is None:
            return undecoded, n - undecoded
        decoded_at = np.diff(np.vstack([np.full((1, undecoded.shape[1]), float(n)), undecoded]), axis=0, append=0.0) * -1.0
        decoded_at[-1] = undecoded[-1]  # never decoded
        late = np.hstack([np.zeros((len(self.weight), 1)), np.cumsum(self.weight, axis=1)])
        return late**2 @ decoded_at, (1 - late) ** 2 @ decoded_at


def view(tally: Tally, workers: Workers | None, deadlines: ArrayLike | None) -> View:
    """Return how `tally` is to be looked at for these arguments, checked."""
    if tally.domain == "deadline":
        if workers is not None or deadlines is not None:
            raise ValueError("workers and deadlines are for count-domain tallies: this one was simulated at fixed deadlines")
        assert tally.deadlines is not None
        return View("deadline", tally.deadlines, None)
    if workers is None and deadlines is None:
        return View("received", np.arange(tally.n_packets + 1), None)
    if workers is None or deadlines is None:
        raise ValueError("workers and deadlines belong together: give both, or neither for losses by received packets")
    times = deadlines_array(deadlines)
    n = workers.count
    if n > tally.n_packets or (n < tally.n_packets and tally.tied):
        why = (
            f"packets are tied to workers, so only W = {tally.n_packets} is served"
            if tally.tied
            else f"at most the W = {tally.n_packets} that were simulated are served"
        )
        raise ValueError(f"workers: W = {n} does not fit this tally: {why}")
    if not workers.identical:
        raise ValueError("workers differ in speed: arrival order depends on the worker then; simulate with deadlines")
    if workers.work == "true" and tally.packet_work is None:
        raise ValueError("workers.work='true', but packets differ in true work: simulate with deadlines")
    work = 1 if tally.packet_work is None else tally.packet_work
    speed = float(workers.speed()[0])
    k = tally.classes.size
    weight = np.zeros((times.size, tally.n_packets + 1))
    weight[:, : n + 1] = binomial(n, workers.arrival(times, k, work, speed), workers.absence(times, k, work, speed))
    return View("deadline", times, weight)


def binomial(n: int, p: Floats, q: Floats) -> Floats:
    """Return Pr[Bin(n, p) = 0..n], shape (..., n + 1); q = 1 - p is given apart for accuracy."""
    from scipy.special import gammaln, xlogy

    i = np.arange(n + 1)
    log = gammaln(n + 1) - gammaln(i + 1) - gammaln(n - i + 1) + xlogy(i, p[..., None]) + xlogy(n - i, q[..., None])
    value: Floats = np.exp(log)
    value /= value.sum(axis=-1, keepdims=True)
    return value


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


def _events(tally: Tally, part: Partition) -> Events:
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
    events = _events(tally, part)
    sizes = sub_batch_sizes(tally)
    n = tally.realizations
    sums = seen(events.counts)  # (32, D, E)
    totals = sums.sum(axis=0)
    mean = totals @ events.weight / n
    if tally.class_wise and seen.weight is None:
        stderr, freedom = _pattern_stderr(tally, part, mean, n)
    else:
        stderr, freedom = batch_stderr(sums @ events.weight, sizes)
    diagonal = events.left == events.right
    undecoded = events.counts.sum(axis=0)[:, diagonal].astype(np.float64)
    failing, succeeding = seen.second_moment(undecoded, n)
    # (Σv)²/Σv² is the number of failures that would tell as much; for counts it is their number.
    missed = totals[:, diagonal]
    with np.errstate(divide="ignore", invalid="ignore"):
        enough = (np.nan_to_num(missed**2 / failing) >= ENOUGH) & (np.nan_to_num((n - missed) ** 2 / succeeding) >= ENOUGH)
    normal = enough.all(axis=1) & (freedom > 0)
    half = t_factor(max(freedom, 1)) * np.nan_to_num(stderr)
    low, high = _bounds_by_event(totals, events.weight, n)
    # Where every realization gives the same, the half-width is 0; what is left is the rounding of the sums.
    half = np.maximum(half, 1e-12 * np.abs(mean))
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
        failing, succeeding = seen.second_moment(undecoded.sum(axis=0).astype(np.float64), n)
        with np.errstate(divide="ignore", invalid="ignore"):
            enough = (np.nan_to_num(missed**2 / failing) >= ENOUGH) & (np.nan_to_num((n - missed) ** 2 / succeeding) >= ENOUGH)
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
    _events(tally, part)
    levels = np.atleast_1d(np.asarray(q, dtype=np.float64))
    if levels.ndim != 1 or np.any(~((levels >= 0) & (levels <= 1))):
        raise ValueError(f"q must lie in [0, 1], got {q!r}")
    seen = view(tally, workers, deadlines)
    value = _pattern_loss(tally, part)
    order = np.argsort(value, kind="stable")
    share = np.cumsum(seen(tally.patterns).sum(axis=0)[:, order], axis=1) / tally.realizations
    # The least loss whose distribution function reaches q; the slack absorbs rounding of the sum.
    at = (share[:, None, :] < levels[None, :, None] - 1e-12).sum(axis=2)
    quantile = value[order][np.minimum(at, value.size - 1)]
    dims = (seen.dimension, "quantile")
    scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
    data = {"loss": (dims, quantile), "normalized_loss": (dims, quantile * scale)}
    return xr.Dataset(data, coords={seen.dimension: seen.coordinate, "quantile": levels}, attrs=_attributes(tally))

"""The law of the loss of one realization, from class patterns: a realization's loss is a function of its pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.partition import Partition
from uepgpu.tally.axis import View, view
from uepgpu.tally.counts import Counts
from uepgpu.tally.estimates import bounds_by_pattern, check_partition, frequency, over, pattern_loss
from uepgpu.tally.events import pattern_events, possible_patterns
from uepgpu.tally.intervals import batch_stderr
from uepgpu.theory.distribution import above, levels_array, losses_array
from uepgpu.theory.patterns import distinct_losses
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["exceedance", "loss_distribution", "loss_quantile", "loss_sd"]

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Relative rounding of sums of shares."""


def _start(
    counts: Counts, part: Partition, workers: Workers | None, deadlines: ArrayLike | None, what: str
) -> tuple[View, Floats, float]:
    """Return the time axis, the loss of every pattern, and what makes a loss a normalized one."""
    if not counts.class_wise:
        raise ValueError(
            f"{what} of the loss needs a code that decodes class by class: pairs of sub-products give its mean alone "
            f"(the tally is of {counts.code})"
        )
    seen = view(counts, workers, deadlines)
    check_partition(counts, part, workers)
    return seen, pattern_loss(counts, part), 1.0 / part.norm2 if part.norm2 > 0 else 0.0


def _outcomes(counts: Counts, value: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the losses that are possible, ascending, (V,), and which patterns have them, (2^L, V)."""
    possible = np.asarray(possible_patterns(counts).any(axis=0))
    losses = distinct_losses(value[possible])
    nearest = np.abs(value[:, None] - losses[None, :]).argmin(axis=1)
    return losses, np.equal.outer(nearest, np.arange(losses.size)) & possible[:, None]


def loss_distribution(counts: Counts, part: Partition, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.loss_distribution`."""
    seen, value, scale = _start(counts, part, workers, deadlines, "the distribution")
    losses, inside = _outcomes(counts, value)
    found = frequency(counts, seen, pattern_events(counts, inside))
    data = {name: ((seen.dimension, "outcome"), a) for name, a in zip(("probability", "stderr", "low", "high"), found, strict=True)}
    return over(seen, data, {"loss": ("outcome", losses), "normalized_loss": ("outcome", losses * scale)}, counts)


def exceedance(counts: Counts, part: Partition, x: ArrayLike, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.exceedance`."""
    limits = losses_array("x", x)
    seen, value, scale = _start(counts, part, workers, deadlines, "the exceedance")
    found = frequency(counts, seen, pattern_events(counts, above(value * scale, limits).T))
    data = {name: ((seen.dimension, "x"), a) for name, a in zip(("probability", "stderr", "low", "high"), found, strict=True)}
    return over(seen, data, {"x": limits}, counts)


def loss_quantile(
    counts: Counts, part: Partition, q: ArrayLike, workers: Workers | None, deadlines: ArrayLike | None
) -> xr.Dataset:
    """See :meth:`Tally.loss_quantile`."""
    levels = levels_array(q)
    seen, value, scale = _start(counts, part, workers, deadlines, "the quantile")
    losses, inside = _outcomes(counts, value)
    reached = np.cumsum(inside, axis=1) > 0  # Pr[loss <= v] for each v
    share, _, low, high = frequency(counts, seen, pattern_events(counts, reached))
    data = {}
    # A bound of the distribution function is one of its quantiles, on the other side: that of order statistics.
    for name, f in (("loss", share), ("loss_low", high), ("loss_high", low)):
        enough = (f[:, None, :] >= levels[None, :, None] - ROUNDING) & (f[:, None, :] > 0)
        data[name] = losses[enough.argmax(axis=2)]
    dims = (seen.dimension, "quantile")
    variables = {name: (dims, v) for name, v in data.items()} | {
        f"normalized_{name}": (dims, v * scale) for name, v in data.items()
    }
    return over(seen, variables, {"quantile": levels}, counts)


def loss_sd(counts: Counts, part: Partition, workers: Workers | None, deadlines: ArrayLike | None) -> xr.Dataset:
    """See :meth:`Tally.loss_sd`."""
    seen, value, scale = _start(counts, part, workers, deadlines, "the standard deviation")
    n = counts.realizations
    share = seen(counts.patterns).sum(axis=0) / n
    mean = share @ value
    square = (value[None, :] - mean[:, None]) ** 2
    sd = np.sqrt((share * square).sum(axis=1))
    sums = np.einsum("bdp,dp->bd", seen(counts.patterns), square)
    error = batch_stderr(sums, counts.sub_batch_sizes)[0]
    # Var = E(v - c)² - (E v - c)² for any c, here the estimated mean: bounds of both terms bound it.
    least, most = bounds_by_pattern(counts, seen, square)
    low, high = bounds_by_pattern(counts, seen, np.broadcast_to(value, square.shape))
    off = np.maximum(high - mean, mean - low)
    values = {
        "loss_sd": sd,
        "loss_sd_stderr": np.divide(error, 2 * sd, out=np.zeros_like(sd), where=sd > 0),
        "loss_sd_low": np.minimum(np.sqrt(np.maximum(least - off**2, 0.0)), sd),
        "loss_sd_high": np.maximum(np.sqrt(np.maximum(most, 0.0)), sd),
    }
    data = {name: (seen.dimension, v) for name, v in values.items()}
    data |= {f"normalized_{name}": (seen.dimension, v * scale) for name, v in values.items()}
    return over(seen, data, {}, counts)

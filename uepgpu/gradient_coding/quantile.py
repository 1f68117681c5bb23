"""Latencies from 32-bit words: quantiles of any latency law, in closed form or by bisection of its distribution function."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import shown
from uepgpu.latency import Deterministic, Empirical, Exponential, Latency, LogNormal, Pareto, ShiftedExponential, Staged, Weibull

__all__ = ["latencies_with_losses", "latency_of_words"]

Floats = NDArray[np.float64]

LEAST, GREATEST = -1022, 1023
BISECTIONS = 52
"""Halvings between two powers of two: down to the last bit."""


def latency_of_words(law: Latency, words: Any, *, never: bool = False) -> Floats:
    """Return for each word w the latency whose probability is (w + ½)·2⁻³²: smaller words are faster servers.

    Parameters
    ----------
    law : Latency
    words : array_like of int
        0..2³² − 1, any shape.
    never : bool
        Whether the law may leave probability to times beyond float64, which are then infinite.

    Raises
    ------
    ValueError
        If it does without `never`: such a server never answers.

    Examples
    --------
    >>> from uepgpu.latency import Exponential
    >>> latency_of_words(Exponential(1.0), [2**31]).round(6).tolist()
    [0.693147]
    """
    word = np.asarray(words, dtype=np.float64)
    below, above = (word + 0.5) * 2.0**-32, (2.0**32 - 0.5 - word) * 2.0**-32
    return _bisected(law, below, above, never=never)


def _bisected(law: Latency, below: Floats, above: Floats, *, never: bool) -> Floats:
    """Return the least times of which the law has probability `below` = 1 - `above`."""
    early = below <= 0.5
    power = np.ldexp(1.0, np.arange(LEAST, GREATEST + 1))
    # Each tail uses the function that keeps its digits there; both are monotone, so bisection needs comparisons only.
    first = np.where(
        early,
        np.searchsorted(law.cdf(power), below, side="left"),
        np.searchsorted(-law.sf(power), -above, side="left"),
    )
    beyond = first == power.size
    if beyond.any() and not never:
        raise never_answers(law)
    first = np.minimum(first, power.size - 1)
    high = power[first]
    low = np.where(first > 0, power[np.maximum(first - 1, 0)], 0.0)
    for _ in range(BISECTIONS):
        middle = low + (high - low) / 2
        reached = np.where(early, law.cdf(middle) >= below, law.sf(middle) <= above)
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle)
    return np.asarray(np.where(beyond, np.inf, np.where(law.cdf(0.0) >= below, 0.0, high)))


def latencies_with_losses(law: Latency, words: Any, lost: float) -> Floats:
    """Return latencies as :func:`latency_of_words` does, of answers that are lost with probability `lost`: the greatest words.

    Laws of the library have quantiles in closed form, which are some fifty times as fast as bisection and equal it to rounding.

    Examples
    --------
    >>> from uepgpu.latency import Exponential
    >>> latencies_with_losses(Exponential(1.0), [0, 2**30, 3 * 2**30], 0.5).round(6).tolist()
    [0.0, 0.693147, inf]
    """
    word = np.asarray(words, dtype=np.float64)
    below, above = (word + 0.5) * 2.0**-32, (2.0**32 - 0.5 - word) * 2.0**-32
    comes = above > lost
    below, above = below[comes] / (1.0 - lost), (above[comes] - lost) / (1.0 - lost)
    latency = np.full(word.shape, np.inf)
    found = _closed_form(law.compute if isinstance(law, Staged) else law, below, above)
    latency[comes] = _bisected(law, below, above, never=False) if found is None else found
    if not np.all(np.isfinite(latency[comes])):
        raise never_answers(law)
    return latency


def never_answers(law: Latency) -> ValueError:
    """Return the refusal of a law that leaves probability to times beyond float64."""
    return ValueError(f"latency must reach probability 1 - 2^-33 within float64, so that servers answer, got {shown(law)}")


def _closed_form(law: Any, below: Floats, above: Floats) -> Floats | None:
    """Return the quantiles of probabilities `below` = 1 - `above`, or None for a law of which only cdf and sf are known."""
    hazard = np.where(below <= 0.5, -np.log1p(-below), -np.log(above))
    # Not subclasses, which may have another cdf.
    kind = type(law)
    with np.errstate(over="ignore"):
        if kind is Exponential:
            return np.asarray(hazard / law.rate)
        if kind is ShiftedExponential:
            return np.asarray(law.shift + hazard / law.rate)
        if kind is Weibull:
            return np.asarray(law.scale * hazard ** (1.0 / law.shape))
        if kind is Pareto:
            return np.asarray(law.scale * np.exp(hazard / law.shape))
        if kind is LogNormal:
            from scipy.special import ndtri

            return np.asarray(np.exp(law.mu + law.sigma * np.where(below <= 0.5, ndtri(below), -ndtri(above))))
    if kind is Deterministic:
        return np.full(below.shape, law.time)
    if kind is Empirical:
        samples = np.asarray(law.samples)
        return np.asarray(samples[np.searchsorted(np.arange(1, samples.size + 1) / samples.size, below, side="left")])
    return None

"""Latencies from 32-bit words: the quantile function of any latency law, by bisection of its distribution function."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import shown
from uepgpu.latency import Latency

__all__ = ["latency_of_words"]

Floats = NDArray[np.float64]

LEAST, GREATEST = -1022, 1023
BISECTIONS = 52
"""Halvings between two powers of two: down to the last bit."""


def latency_of_words(law: Latency, words: Any) -> Floats:
    """Return for each word w the latency whose probability is (w + ½)·2⁻³²: smaller words are faster servers.

    Parameters
    ----------
    law : Latency
    words : array_like of int
        0..2³² − 1, any shape.

    Raises
    ------
    ValueError
        If the law leaves probability to times beyond float64: such a server never answers.

    Examples
    --------
    >>> from uepgpu.latency import Exponential
    >>> latency_of_words(Exponential(1.0), [2**31]).round(6).tolist()
    [0.693147]
    """
    word = np.asarray(words, dtype=np.float64)
    below, above = (word + 0.5) * 2.0**-32, (2.0**32 - 0.5 - word) * 2.0**-32
    early = below <= 0.5
    power = np.ldexp(1.0, np.arange(LEAST, GREATEST + 1))
    # Each tail uses the function that keeps its digits there; both are monotone, so bisection needs comparisons only.
    first = np.where(
        early,
        np.searchsorted(law.cdf(power), below, side="left"),
        np.searchsorted(-law.sf(power), -above, side="left"),
    )
    if word.size and first.max() == power.size:
        raise ValueError(f"latency must reach probability 1 - 2^-33 within float64, so that servers answer, got {shown(law)}")
    high = power[first]
    low = np.where(first > 0, power[np.maximum(first - 1, 0)], 0.0)
    for _ in range(BISECTIONS):
        middle = low + (high - low) / 2
        reached = np.where(early, law.cdf(middle) >= below, law.sf(middle) <= above)
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle)
    return np.asarray(np.where(law.cdf(0.0) >= below, 0.0, high))

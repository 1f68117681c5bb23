"""A latency in stages: a start, computation that scales with the load, sending that scales with what is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import positive, shown
from uepgpu.latency.continuous import Exponential, ShiftedExponential
from uepgpu.latency.law import ROUNDING, Floats, Latency, as_times
from uepgpu.latency.quadrature import average, measure_of
from uepgpu.latency.steps import Deterministic, Empirical
from uepgpu.text.html import Described

__all__ = ["Staged"]

SMALL = 1.0
"""Below this the faster exponential stage is expanded, so that what has arrived keeps its digits."""

_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Staged(Described):
    """A start, computation and sending, one after the other and independent: T = start + load · C + U.

    The load is r / (Ω s): work over speed (docs/mathematics.md §4). A packet is sent as a whole, so that `send` does not scale
    with it; neither does `start`. Exponential stages have a closed form, fixed times and samples are added as they are, and other
    laws are averaged over by quadrature, to an absolute error below 2^-33.

    Parameters
    ----------
    compute : Latency
        Law of C, the time that one unit of work takes at speed 1.
    send : Latency, optional
        Law of U, the time that sending one packet takes. Default: none.
    start : float
        >= 0, in the unit of time of the laws.

    Raises
    ------
    ValueError
        If a law is none, is staged itself, or if neither has a known density or known steps.

    Examples
    --------
    >>> law = Staged(Exponential(1.0), Exponential(5.0))
    >>> law.cdf([0.3, 0.6, 1.2]).round(6).tolist(), law.cdf([0.3, 0.6, 1.2], load=3.0).round(6).tolist()
    ([0.12976, 0.326432, 0.624127], [0.046469, 0.126345, 0.281977])
    """

    compute: Latency
    send: Latency | None = None
    start: float = 0.0

    def __post_init__(self) -> None:
        for name in ("compute", "send"):
            law = getattr(self, name)
            if law is None and name == "send":
                continue
            if isinstance(law, type) or not isinstance(law, Latency) or isinstance(law, Staged):
                raise ValueError(f"{name} must be a law that is not staged itself, got {shown(law)}")
        positive("start", self.start, zero=True)
        if self.send is not None and not (_known(self.compute) or _known(self.send)):
            raise ValueError(
                "compute and send must not both be laws of which only cdf and sf are known, got "
                f"{shown(self.compute)} and {shown(self.send)}"
            )

    @property
    def scales(self) -> bool:
        """Whether all of it scales with the load, so that it is the law of computing alone."""
        return self.send is None and self.start == 0

    def cdf(self, time: ArrayLike, load: ArrayLike = 1.0) -> Floats:
        """Return Pr[T <= t] under a load > 0; the arguments broadcast."""
        return self._ask(time, load, late=False)

    def sf(self, time: ArrayLike, load: ArrayLike = 1.0) -> Floats:
        """Return Pr[T > t] under a load > 0; the arguments broadcast."""
        return self._ask(time, load, late=True)

    def _ask(self, time: ArrayLike, load: ArrayLike, *, late: bool) -> Floats:
        times, loads = np.broadcast_arrays(as_times(time), np.asarray(load, dtype=np.float64))
        t, a = times.ravel(), loads.ravel()
        value = np.full(t.shape, float(late))
        value[np.isinf(t)] = 1.0 - late
        ask = (t >= 0) & np.isfinite(t)
        if ask.any():
            value[ask] = self._of(t[ask], a[ask], late)
        return np.asarray(np.clip(value, 0.0, 1.0)).reshape(times.shape)

    def _of(self, t: Floats, a: Floats, late: bool) -> Floats:
        fixed, compute = _split(self.compute)
        sent, send = (0.0, None) if self.send is None else _split(self.send)
        # What is left once everything fixed is done; the slack is that of laws with steps.
        left = t * ROUNDING - (self.start + a * fixed + sent)
        if compute is None and send is None:
            return np.asarray((left < 0) if late else (left >= 0), dtype=np.float64)
        if send is None or compute is None:
            law, at = (send, left) if send is not None else (compute, left / a)
            assert law is not None
            return law.sf(at) if late else law.cdf(at)
        if isinstance(compute, Exponential) and isinstance(send, Exponential):
            return _two_exponentials(np.maximum(left, 0.0), compute.rate / a, send.rate, late)
        if isinstance(send, Empirical):
            ask = compute.sf if late else compute.cdf
            return _over_samples(np.asarray(send.samples), lambda u: ask((left - u) / a))
        if isinstance(compute, Empirical):
            ask = send.sf if late else send.cdf
            return _over_samples(np.asarray(compute.samples), lambda c: ask(left - a * c))
        return _smooth(compute, send, left, a, late)


def _known(law: Latency) -> bool:
    rest = _split(law)[1]
    return rest is None or isinstance(rest, Empirical) or measure_of(rest) is not None


def _split(law: Latency) -> tuple[float, Latency | None]:
    """Return a law as a fixed time and what comes on top."""
    if isinstance(law, Deterministic):
        return law.time, None
    if isinstance(law, ShiftedExponential):
        return law.shift, Exponential(law.rate)
    return 0.0, law


def _two_exponentials(t: Floats, first: Floats, second: float, late: bool) -> Floats:
    """Return the law of the sum of two exponential times of rates `first` and `second`, without cancellation at equal rates."""
    slow, fast = np.minimum(first, second), np.maximum(first, second)
    gap = (fast - slow) * t
    # (1 - e^-z) / z, which is 1 at 0
    ratio = np.where(gap > 0, -np.expm1(-gap) / np.where(gap > 0, gap, 1.0), 1.0)
    if late:
        return np.asarray(np.exp(-slow * t) * (1.0 + slow * t * ratio))
    value = -np.expm1(-slow * t) - np.exp(-slow * t) * slow * t * ratio
    small = fast * t < SMALL
    share = (1.0 + _GAUSS_NODES) / 2
    grown = np.exp(-(slow * t)[small, None] * (1 - share)) * -np.expm1(-(fast * t)[small, None] * share)
    value[small] = (slow * t)[small] * (grown @ _GAUSS_WEIGHTS) / 2
    return np.asarray(value)


def _over_samples(samples: Floats, ask: Callable[[Floats], Floats]) -> Floats:
    """Return the mean of `ask`(sample) over samples, each once for all that are equal."""
    values, counts = np.unique(samples, return_counts=True)
    total: Floats = np.zeros(1)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        total = total + count * ask(np.asarray(value))
    return total / samples.size


def _smooth(compute: Latency, send: Latency, left: Floats, a: Floats, late: bool) -> Floats:
    """Return the law of the sum by averaging over one whose density is known."""
    by_send, one = measure_of(send), np.ones_like(a)
    given, other, scale, divide = (send, compute, one, a) if by_send is not None else (compute, send, a, one)
    measure = measure_of(given)
    assert measure is not None
    ask = other.sf if late else other.cdf

    def inner(point: NDArray[np.intp], value: Floats) -> Floats:
        return ask((left[point][:, None] - scale[point][:, None] * value) / divide[point][:, None])

    upper = left / scale
    found = average(inner, measure, upper)
    return found + given.sf(upper) if late else found

"""What a packet of some work costs a worker: how long one unit of work may take for it to meet a deadline."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import integer, real_array, shown
from uepgpu.latency import Latency, Staged
from uepgpu.latency.trace import Recorded

__all__ = ["answered", "positive_array", "unit_time"]

Floats = NDArray[np.float64]


def unit_time(
    count: int, omega: float | Literal["fair"], time: ArrayLike, n_subproducts: int, charged: Floats, speed: ArrayLike
) -> Floats:
    """Return Ω s t / r for workers of speed s that are charged work r, Ω being K/W where it is fair.

    Examples
    --------
    >>> unit_time(30, "fair", [0.5, 1.0], 9, np.array(3.0), 2.0).tolist()
    [0.1, 0.2]
    """
    # Multiply integers without common factors, then divide once: with a rounded K/W, a packet that is due exactly at a
    # deadline could miss the step of its law.
    k = integer("n_subproducts", n_subproducts, 1)
    common = math.gcd(k, count)
    above, below = (k // common, count // common) if omega == "fair" else (float(omega), 1)
    times, speeds = real_array("time", time), positive_array("speed", speed)
    if np.isnan(times).any():
        raise ValueError(f"time must be times, got {shown(time)}")
    try:
        np.broadcast_shapes(times.shape, speeds.shape, charged.shape)
    except ValueError:
        shapes = f"{times.shape}, {charged.shape} and {speeds.shape}"
        raise ValueError(f"time, work and speed must have shapes that fit together, got {shapes}") from None
    return np.asarray(times * (above * speeds) / (below * charged))


def answered(chosen: Latency, per_unit: Callable[[ArrayLike], Floats], time: ArrayLike, *, late: bool) -> Floats:
    """Return the chance that a worker has answered, or with `late` that it has not, whatever the channel does.

    `chosen` is its law, and `per_unit` gives the time that one unit of work may take.
    """
    if isinstance(chosen, Staged) and not chosen.scales:
        load = 1.0 / per_unit(1.0)
        return chosen.sf(time, load) if late else chosen.cdf(time, load)
    chosen = chosen.compute if isinstance(chosen, Staged) else chosen
    times = per_unit(time)
    # Laws are asked for finite times only; a worker that answers at all has answered by infinity.
    ever = np.isinf(times)
    ask = chosen.sf if late else chosen.cdf
    last = chosen.ever if isinstance(chosen, Recorded) else 1.0
    return np.where(ever, 1.0 - last if late else last, ask(np.where(ever, 0.0, times)))


def positive_array(name: str, value: ArrayLike) -> Floats:
    """Return an array of finite numbers > 0, checked."""
    array = real_array(name, value)
    if not np.all((array > 0) & np.isfinite(array)):
        raise ValueError(f"{name} must be finite numbers > 0, got {shown(value)}")
    return array

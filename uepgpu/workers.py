"""Workers: how many there are, how fast they answer, what a packet costs them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from uepgpu.checks import choice, integer, positive, probability, real_array, shown
from uepgpu.latency import Exponential, Latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Workers"]

MOST_WORKERS = 1_000_000
"""What closed forms answer within seconds; simulations take fewer."""


@dataclass(frozen=True)
class Workers:
    """A pool of workers, each of which returns one packet.

    A packet of work r from a worker of speed s has arrived by time t with probability
    (1 - loss_probability) F(Ω s t / r), where r = 1 if `work` is ``"unit"`` (docs/mathematics.md §4).

    Parameters
    ----------
    count : int
        Number of workers W, >= 1.
    latency : Latency
        Law F of the time that one unit of work takes.
    omega : float or "fair"
        Load normalisation Ω. ``"fair"`` means K / W: the same total work however many workers share it.
    work : "true" or "unit"
        ``"true"`` charges a packet the number r of block products that it takes, ``"unit"`` charges one.
    loss_probability : float
        Chance ε that a packet is lost in the channel, in [0, 1).
    speeds : sequence of float, optional
        Relative speed of each worker, > 0, W of them. Default: all 1.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.

    Examples
    --------
    >>> workers = Workers(30, latency=Exponential(1.0))
    >>> round(float(workers.arrival(1.0, n_subproducts=9, work=3)), 4)  # Ω t / r = 0.3 · 1 / 3
    0.0952
    """

    count: int
    latency: Latency = field(default_factory=Exponential)
    omega: float | Literal["fair"] = "fair"
    work: Literal["true", "unit"] = "true"
    loss_probability: float = 0.0
    speeds: Sequence[float] | None = None

    def __post_init__(self) -> None:
        integer("count (number of workers W)", self.count, 1, MOST_WORKERS)
        # A class has these methods too, but they need an instance.
        if isinstance(self.latency, type) or not isinstance(self.latency, Latency):
            raise ValueError(f"latency must be a law from uepgpu.latency or have methods cdf and sf, got {shown(self.latency)}")
        if isinstance(self.omega, str) and self.omega != "fair":
            raise ValueError(f"omega must be a number > 0 or 'fair', got {shown(self.omega)}")
        if not isinstance(self.omega, str):
            positive("omega", self.omega)
        choice("work", self.work, ("true", "unit"))
        probability("loss_probability", self.loss_probability, one=False)
        if self.speeds is not None:
            array = real_array("speeds", self.speeds)
            if array.ndim != 1:
                raise ValueError(f"speeds must be a sequence of one speed per worker, got {shown(self.speeds)}")
            speeds = tuple(positive("speeds", s) for s in array.tolist())
            if len(speeds) != self.count:
                raise ValueError(f"speeds must give one speed per worker: {self.count} workers, got {len(speeds)} speeds")
            object.__setattr__(self, "speeds", speeds)

    def resolved_omega(self, n_subproducts: int) -> float:
        """Return Ω as a number: K / W for ``"fair"``.

        Examples
        --------
        >>> Workers(30).resolved_omega(9), Workers(30, omega=1.0).resolved_omega(9)
        (0.3, 1.0)
        """
        return n_subproducts / self.count if self.omega == "fair" else float(self.omega)

    @property
    def identical(self) -> bool:
        """Whether all workers have the same speed."""
        return self.speeds is None or len(set(self.speeds)) == 1

    def speed(self) -> NDArray[np.float64]:
        """Return the speeds, shape (W,).

        Examples
        --------
        >>> Workers(3).speed().tolist(), Workers(2, speeds=[2, 0.5]).speed().tolist()
        ([1.0, 1.0, 1.0], [2.0, 0.5])
        """
        return np.ones(self.count) if self.speeds is None else np.asarray(self.speeds, dtype=np.float64)

    def charge(self, work: ArrayLike) -> NDArray[np.float64]:
        """Return the work that is charged for packets of true work `work`: itself, or ones.

        Examples
        --------
        >>> Workers(3).charge([1, 3]).tolist(), Workers(3, work="unit").charge([1, 3]).tolist()
        ([1.0, 3.0], [1.0, 1.0])
        """
        array = _positive_array("work", work)
        return array if self.work == "true" else np.ones_like(array)

    def arrival(self, time: ArrayLike, n_subproducts: int, work: ArrayLike, speed: ArrayLike = 1.0) -> NDArray[np.float64]:
        """Return Pr[a packet has arrived by `time`]; the arguments broadcast, `work` is the true work r.

        Examples
        --------
        >>> Workers(30, omega=1.0).arrival([0.5, 1.0], n_subproducts=9, work=1).round(4).tolist()
        [0.3935, 0.6321]
        """
        times = self._unit_time(time, n_subproducts, work, speed)
        # Laws are asked for finite times only; a worker that answers at all has answered by infinity.
        ever = np.isinf(times)
        return (1.0 - self.loss_probability) * np.where(ever, 1.0, self.latency.cdf(np.where(ever, 0.0, times)))

    def absence(self, time: ArrayLike, n_subproducts: int, work: ArrayLike, speed: ArrayLike = 1.0) -> NDArray[np.float64]:
        """Return Pr[a packet has not arrived by `time`], accurate in the tail.

        Examples
        --------
        >>> Workers(30, omega=1.0).absence([1.0, 100.0], n_subproducts=9, work=1).tolist()
        [0.36787944117144233, 3.720075976020836e-44]
        """
        times = self._unit_time(time, n_subproducts, work, speed)
        ever = np.isinf(times)
        late = np.where(ever, 0.0, self.latency.sf(np.where(ever, 0.0, times)))
        return self.loss_probability + (1.0 - self.loss_probability) * late

    def _unit_time(self, time: ArrayLike, n_subproducts: int, work: ArrayLike, speed: ArrayLike) -> NDArray[np.float64]:
        """Ω s t / r, the time that one unit of work may take."""
        # Multiply integers without common factors, then divide once: with a rounded K/W, a packet that is due exactly at a
        # deadline could miss the step of its law.
        k = integer("n_subproducts", n_subproducts, 1)
        common = math.gcd(k, self.count)
        omega, share = (k // common, self.count // common) if self.omega == "fair" else (float(self.omega), 1)
        times, speeds = real_array("time", time), _positive_array("speed", speed)
        if np.isnan(times).any():
            raise ValueError(f"time must be times, got {shown(time)}")
        charged = self.charge(work)
        try:
            np.broadcast_shapes(times.shape, speeds.shape, charged.shape)
        except ValueError:
            shapes = f"{times.shape}, {charged.shape} and {speeds.shape}"
            raise ValueError(f"time, work and speed must have shapes that fit together, got {shapes}") from None
        return np.asarray(times * (omega * speeds) / (share * charged))


def _positive_array(name: str, value: ArrayLike) -> NDArray[np.float64]:
    array = real_array(name, value)
    if not np.all((array > 0) & np.isfinite(array)):
        raise ValueError(f"{name} must be finite numbers > 0, got {shown(value)}")
    return array

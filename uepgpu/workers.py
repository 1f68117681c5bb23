"""Workers: how many there are, how fast they answer, what a packet costs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import choice, integer, positive, probability
from uepgpu.latency import Exponential, Latency

__all__ = ["Workers"]


@dataclass(frozen=True)
class Workers:
    """A pool of workers, each of which returns one packet.

    A packet of work r from a worker of speed s has arrived by time t with probability
    (1 - loss_probability) F(Ω s t / r), where r = 1 if `work` is ``"unit"`` (MATH.md §4).

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
    """

    count: int
    latency: Latency = field(default_factory=Exponential)
    omega: float | Literal["fair"] = "fair"
    work: Literal["true", "unit"] = "true"
    loss_probability: float = 0.0
    speeds: Sequence[float] | None = None

    def __post_init__(self) -> None:
        integer("count (number of workers W)", self.count, 1)
        if not isinstance(self.latency, Latency):
            raise ValueError(f"latency must be a law from uepgpu.latency or have methods cdf and sf, got {self.latency!r}")
        if self.omega != "fair":
            if isinstance(self.omega, str):
                raise ValueError(f"omega must be a number > 0 or 'fair', got {self.omega!r}")
            positive("omega", self.omega)
        choice("work", self.work, ("true", "unit"))
        probability("loss_probability", self.loss_probability, one=False)
        if self.speeds is not None:
            speeds = tuple(positive("speeds", float(s)) for s in self.speeds)
            if len(speeds) != self.count:
                raise ValueError(f"speeds must give one speed per worker: {self.count} workers, got {len(speeds)} speeds")
            object.__setattr__(self, "speeds", speeds)

    def resolved_omega(self, n_subproducts: int) -> float:
        """Return Ω as a number: K / W for ``"fair"``."""
        return n_subproducts / self.count if self.omega == "fair" else float(self.omega)

    @property
    def identical(self) -> bool:
        """Whether all workers have the same speed."""
        return self.speeds is None or len(set(self.speeds)) == 1

    def speed(self) -> NDArray[np.float64]:
        """Return the speeds, shape (W,)."""
        return np.ones(self.count) if self.speeds is None else np.asarray(self.speeds, dtype=np.float64)

    def charge(self, work: ArrayLike) -> NDArray[np.float64]:
        """Return the work that is charged for packets of true work `work`: itself, or ones."""
        array = np.asarray(work, dtype=np.float64)
        return array if self.work == "true" else np.ones_like(array)

    def arrival(self, time: ArrayLike, n_subproducts: int, work: ArrayLike, speed: ArrayLike = 1.0) -> NDArray[np.float64]:
        """Return Pr[a packet has arrived by `time`]; the arguments broadcast, `work` is the true work r."""
        scale = self.resolved_omega(n_subproducts) * np.asarray(speed, dtype=np.float64) / self.charge(work)
        return (1.0 - self.loss_probability) * self.latency.cdf(np.asarray(time, dtype=np.float64) * scale)

    def absence(self, time: ArrayLike, n_subproducts: int, work: ArrayLike, speed: ArrayLike = 1.0) -> NDArray[np.float64]:
        """Return Pr[a packet has not arrived by `time`], accurate in the tail."""
        scale = self.resolved_omega(n_subproducts) * np.asarray(speed, dtype=np.float64) / self.charge(work)
        late = self.latency.sf(np.asarray(time, dtype=np.float64) * scale)
        return self.loss_probability + (1.0 - self.loss_probability) * late

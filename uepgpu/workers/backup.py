"""A second try at packets that have not come by an age: beside the first copy, or in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import positive
from uepgpu.latency.law import ROUNDING
from uepgpu.text.html import Described

__all__ = ["Backup", "Chance", "Relaunch"]

Floats = NDArray[np.float64]
Chance = Callable[[ArrayLike], Floats]
"""Of a single copy, by the time since it was launched: that it has arrived, or that it has not."""


@dataclass(frozen=True)
class Backup(Described):
    """A second copy of every packet that has not come by the age `after`; both run, and the first to come counts.

    Of a copy that has not come by t with probability S(t), with losses, a packet has not come with probability S(t) before
    `after` and S(t) S(t - after) from then on; 1 + S(after) copies are launched (docs/mathematics.md §4).

    Parameters
    ----------
    after : float
        Time since the first launch, > 0, in the unit of deadlines: it does not scale with the load.

    Examples
    --------
    >>> import uepgpu as uep
    >>> law = uep.latency.Pareto(1.5, 0.2)
    >>> workers = uep.Workers(30, law, omega=1.0, work="unit", backup=Backup(after=0.3))
    >>> workers.arrival([0.6, 1.0], 9, 1).round(6).tolist(), round(float(workers.launched(9, 1)), 5)
    ([0.895243, 0.98634], 1.54433)
    """

    after: float

    def __post_init__(self) -> None:
        positive("after", self.after)

    def arrived(self, got: Chance, late: Chance, time: ArrayLike) -> Floats:
        """Return the chance that a copy has arrived, from the chances of a single one."""
        return got(time) + late(time) * got(_since(time, self.after))

    def absent(self, late: Chance, time: ArrayLike) -> Floats:
        """Return the chance that none has."""
        return late(time) * late(_since(time, self.after))


@dataclass(frozen=True)
class Relaunch(Described):
    """A new copy in place of every packet that has not come by the age `after`: the first is killed then.

    A packet has not come with probability S(t) before `after` and S(after) S(t - after) from then on; 1 + S(after) copies are
    launched (docs/mathematics.md §4). It changes nothing of exponential latencies.

    Parameters
    ----------
    after : float
        Time since the first launch, > 0, in the unit of deadlines: it does not scale with the load.

    Examples
    --------
    >>> import uepgpu as uep
    >>> law = uep.latency.Pareto(1.5, 0.2)
    >>> workers = uep.Workers(30, law, omega=1.0, work="unit", backup=Relaunch(after=0.3))
    >>> workers.arrival([0.6, 1.0], 9, 1).round(6).tolist()
    [0.703704, 0.916869]
    """

    after: float

    def __post_init__(self) -> None:
        positive("after", self.after)

    def arrived(self, got: Chance, late: Chance, time: ArrayLike) -> Floats:
        """Return the chance that a copy has arrived, from the chances of a single one."""
        return got(np.minimum(time, self.after)) + late(self.after) * got(_since(time, self.after))

    def absent(self, late: Chance, time: ArrayLike) -> Floats:
        """Return the chance that none has."""
        return late(np.minimum(time, self.after)) * late(_since(time, self.after))


def _since(time: ArrayLike, after: float) -> Floats:
    """Return the age of the second copy, negative before it is launched; its rounding must not miss the step of a law."""
    return np.asarray(np.asarray(time, dtype=np.float64) * ROUNDING - after)

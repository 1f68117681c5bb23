"""Racks: workers that a common cause makes dark or slow together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import integer_array, probability, shown
from uepgpu.latency import Latency
from uepgpu.text.html import Described

__all__ = ["Racks"]


@dataclass(frozen=True)
class Racks(Described):
    """Racks of workers, each of which is struck on its own with some probability, in every realization anew.

    All workers of a rack that is struck answer never, or by another latency law; given that, workers are independent. The copies
    that :class:`Backup` and :class:`Relaunch` launch are in the same rack. Marginally a packet has arrived with probability
    ρ F_struck(t) + (1 - ρ) F(t), but the number of packets in time varies more than that of independent workers
    (docs/mathematics.md §4).

    Parameters
    ----------
    of : sequence of int
        The rack of every worker, W numbers. Only which workers share one matters, and the order of the numbers.
    probability : float
        Chance ρ that a rack is struck, in [0, 1).
    latency : Latency, optional
        Law of the time that one unit of work takes at speed 1 in a rack that is struck. Default: it is dark, nothing arrives.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.

    Examples
    --------
    >>> import uepgpu as uep
    >>> racks = Racks(of=[w // 5 for w in range(30)], probability=0.1)
    >>> workers = uep.Workers(30, omega=1.0, work="unit", racks=racks)
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
    >>> uep.theory.loss(code, part, workers, deadlines=[0.3, 0.6]).normalized_loss.values.round(5).tolist()
    [0.38062, 0.0413]
    """

    of: Sequence[int]
    probability: float
    latency: Latency | None = None

    def __post_init__(self) -> None:
        of = integer_array("of", self.of)
        if of.ndim != 1:
            raise ValueError(f"of must be a sequence of one rack per worker, got {shown(self.of)}")
        object.__setattr__(self, "of", tuple(of.tolist()))
        probability("probability", self.probability, one=False)
        if self.latency is not None and (isinstance(self.latency, type) or not isinstance(self.latency, Latency)):
            raise ValueError(f"latency must be a law, or None for racks that are dark when struck, got {shown(self.latency)}")

    def members(self) -> list[NDArray[np.intp]]:
        """Return the workers of every rack."""
        of = np.asarray(self.of)
        return [np.flatnonzero(of == rack) for rack in np.unique(of).tolist()]

    def describe(self) -> str:
        """Return what people read.

        Examples
        --------
        >>> Racks([0, 0, 1], 0.1).describe()
        '2 racks, each dark with probability 0.1'
        """
        how = "dark" if self.latency is None else f"of {self.latency!r}"
        return f"{len(set(self.of))} racks, each {how} with probability {self.probability:g}"

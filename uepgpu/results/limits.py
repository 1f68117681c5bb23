"""How far points are from the best possible: the lower bound of their loss, and what their loss is in units of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu import theory
from uepgpu.points.notation import write_workers

if TYPE_CHECKING:
    from uepgpu.points.point import Point

__all__ = ["Limits", "come_in_any_order", "limit_key"]

Floats = NDArray[np.float64]


def limit_key(point: Point) -> tuple[bytes, str]:
    """Return what decides a point's lower bound at any deadline: product and workers, whose text is exact as their repr is not."""
    return point.part.gram.tobytes(), write_workers(point.workers)


def come_in_any_order(point: Point) -> bool:
    """Return whether packets of work 1 would come in an order that does not depend on what they hold.

    Else a code may give important packets to fast workers, or to the first messages of all.
    """
    return point.law.exchangeable or point.workers.alike or point.workers.shuffled


class Limits:
    """Lower bounds of points; points with one product, workers and deadlines share theirs, which is computed once."""

    def __init__(self) -> None:
        self._known: dict[object, Floats] = {}

    def bound(self, point: Point, others: Sequence[Point] = ()) -> Floats:
        """Return the lower bound of the normalized loss at the point's deadlines, shape (D,); nan for a product of norm 0.

        It is ``bound_exchangeable`` of :func:`uepgpu.theory.lower_bound`; where packets of the point, or of one of `others`, do
        not come in any order, it is ``bound_tail``.
        """
        name = "bound_exchangeable" if all(come_in_any_order(p) for p in (point, *others)) else "bound_tail"
        key = (*limit_key(point), point.deadlines, name)
        if key not in self._known:
            if point.part.norm2 > 0:
                found = theory.lower_bound(point.part, point.workers, deadlines=point.deadlines)
                self._known[key] = np.asarray(found[name].values, dtype=np.float64)
            else:
                self._known[key] = np.full(len(point.deadlines), np.nan)
        return self._known[key]

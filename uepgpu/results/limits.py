"""How far points are from the best possible: the lower bound of their loss, and what their loss is in units of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu import theory
from uepgpu.points.notation import write_workers

if TYPE_CHECKING:
    from uepgpu.points.point import Point

__all__ = ["Limits", "limit_key"]

Floats = NDArray[np.float64]


def limit_key(point: Point) -> tuple[bytes, str]:
    """Return what decides a point's lower bound at any deadline: product and workers, whose text is exact as their repr is not."""
    return point.part.gram.tobytes(), write_workers(point.workers)


class Limits:
    """Lower bounds of points; points with one product, workers and deadlines share theirs, which is computed once."""

    def __init__(self) -> None:
        self._known: dict[object, Floats] = {}

    def bound(self, point: Point) -> Floats:
        """Return the lower bound of the normalized loss at the point's deadlines, shape (D,); nan for a product of norm 0.

        It is ``bound_exchangeable`` of :func:`uepgpu.theory.lower_bound`.
        """
        key = (*limit_key(point), point.deadlines)
        if key not in self._known:
            if point.part.norm2 > 0:
                found = theory.lower_bound(point.part, point.workers, deadlines=point.deadlines)
                self._known[key] = np.asarray(found.bound_exchangeable.values, dtype=np.float64)
            else:
                self._known[key] = np.full(len(point.deadlines), np.nan)
        return self._known[key]

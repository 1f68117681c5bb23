"""What results are made from: a point together with its tally."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from uepgpu.points.point import Point
    from uepgpu.tally import Tally

__all__ = ["Simulated"]


class Simulated(Protocol):
    """A point and what was simulated of it."""

    @property
    def point(self) -> Point:
        """The point."""
        ...

    @property
    def tally(self) -> Tally:
        """Its tally."""
        ...

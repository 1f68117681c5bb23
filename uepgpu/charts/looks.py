"""How the series of a chart are told apart, by number; figures and reports choose their own colours, markers and dashes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COLORS", "DASHES", "MARKERS", "MOST_LOOKS", "Look", "look"]

COLORS, MARKERS, DASHES = 7, 7, 3
MOST_LOOKS = COLORS * DASHES
"""With more series than this, two of them look alike."""


class Look(NamedTuple):
    """Numbers of the colour, the marker and the dashes of a series."""

    color: int
    marker: int
    dash: int


def look(number: int) -> Look:
    """Return the look of the series of that number.

    Examples
    --------
    >>> look(0), look(8)
    (Look(color=0, marker=0, dash=0), Look(color=1, marker=2, dash=1))
    """
    return Look(number % COLORS, (number + number // COLORS) % MARKERS, number // COLORS % DASHES)

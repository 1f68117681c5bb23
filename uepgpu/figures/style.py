"""How a series looks: colour, marker and line style, each of which alone tells it from its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from uepgpu.charts.looks import look

__all__ = ["GUIDE", "LINES", "OKABE_ITO", "Dashes", "Style", "style"]

Dashes = tuple[float, tuple[float, ...]]

OKABE_ITO = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that colour-blind readers can tell apart (Okabe and Ito 2008), without the yellow, which is invisible on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Dashes, ...] = ((0, ()), (0, (5, 2)), (0, (5, 1.5, 1, 1.5)))
GUIDE: Dashes = (0, (1, 2))
"""Dashes of lines that only guide the eye."""


@dataclass(frozen=True)
class Style:
    """How one label is drawn, the same in every panel.

    Attributes
    ----------
    color, marker : str
    line : tuple
        Dashes.
    """

    color: str
    marker: str
    line: Dashes


def style(number: int) -> Style:
    """Return the style of the series of that number."""
    color, marker, dash = look(number)
    return Style(OKABE_ITO[color], MARKERS[marker], LINES[dash])

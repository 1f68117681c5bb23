"""How a series looks, as a small picture for the legend."""

from __future__ import annotations

from uepgpu.charts.looks import look
from uepgpu.report.figure import DASHES, SYMBOLS

__all__ = ["swatch"]

SHAPES = {
    "circle": '<circle cx="17" cy="8" r="4"/>',
    "square": '<rect x="13" y="4" width="8" height="8"/>',
    "triangle-up": '<path d="M17 3 22 12H12z"/>',
    "diamond": '<path d="M17 2.5 22.5 8 17 13.5 11.5 8z"/>',
    "triangle-down": '<path d="M17 13 22 4H12z"/>',
    "cross": '<path d="M15.5 3h3v3.5H22v3h-3.5V13h-3V9.5H12v-3h3.5z"/>',
    "x": '<path d="M14 3l3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3-3-3z"/>',
}
STROKES = {"solid": "", "dash": "7 3", "dashdot": "7 3 2 3", "dot": "2 3"}


def swatch(number: int, *, dotted: bool) -> str:
    """Return an SVG of the line and the mark of a series; its colour is the style sheet's."""
    color, marker, dash = look(number)
    return (
        f'<svg class="k{color}" width="34" height="16" viewBox="0 0 34 16" fill="none" stroke="currentColor" stroke-width="1.6" '
        f'aria-hidden="true"><path d="M0 8H34" stroke-dasharray="{STROKES["dot" if dotted else DASHES[dash]]}"/>'
        f'<g fill="var(--paper)">{SHAPES[SYMBOLS[marker]]}</g></svg>'
    )

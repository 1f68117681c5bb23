"""Lines of many estimates with a band for their intervals, marked here and there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from uepgpu.charts.chart import Line
from uepgpu.figures.plain import plain
from uepgpu.figures.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["band_handle", "draw_band"]

MARKS = 7
"""Marks on a line."""
SHADE = 0.2
"""Opacity of a band."""


def draw_band(axes: Axes, line: Line, look: Style, number: int) -> None:
    """Draw a line with its band; `number` is that of its look: lines are marked in turn, so that equal ones both show."""
    every = max(1, line.x.size // MARKS)
    axes.plot(
        line.x,
        line.value,
        linewidth=1.3,
        markersize=4.5,
        markerfacecolor="white",
        markevery=(number * every // 9 % every, every),
        label=plain(line.label),
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
    )
    known = np.isfinite(line.low) & np.isfinite(line.high)
    axes.fill_between(line.x[known], line.low[known], line.high[known], color=look.color, alpha=SHADE, linewidth=0)


def band_handle() -> Line2D:
    """Return the entry of the legend that says what a band is."""
    return Line2D([], [], color="0.4", alpha=SHADE, linewidth=7, label="band: 95 % interval of the mean")

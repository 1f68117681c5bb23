"""Distributions drawn with matplotlib: a bar of quantiles per code, along a horizontal axis of losses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from uepgpu.figures.plain import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from uepgpu.charts.chart import Chart, Panel
    from uepgpu.figures.style import Style

__all__ = ["box_handles", "draw_boxes"]

GREY = "0.4"


def draw_boxes(axes: Axes, panel: Panel, styles: dict[str, Style], chart: Chart, *, named: bool) -> None:
    """Draw the boxes of a panel, the first on top; `named` writes their labels beside the axis."""
    floor, top = chart.value_range()
    # A logarithmic axis has a place for 0, half a decade to the left of everything else.
    zero = floor * 10**-0.5 if chart.logarithmic else 0.0
    for i, box in enumerate(panel.boxes):
        look = styles[box.label]
        at = [q if q > 0 else zero for q in box.quantiles]
        axes.plot([at[0], at[4]], [i, i], color=look.color, linewidth=1.2, zorder=2)
        axes.plot([at[1], at[3]], [i, i], color=look.color, linewidth=6.0, alpha=0.55, solid_capstyle="butt", zorder=3)
        axes.plot(at[2], i, marker=look.marker, color=look.color, markerfacecolor="white", markersize=6, zorder=5)
        if box.mean > 0:
            axes.plot(box.mean, i, marker="|", color=look.color, markersize=13, markeredgewidth=1.8, zorder=4)
    axes.set_ylim(len(panel.boxes) - 0.4, -0.6)
    axes.set_yticks(range(len(panel.boxes)), [plain(b.label) for b in panel.boxes])
    if not named:
        axes.tick_params(axis="y", labelleft=False)
    if chart.logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(zero * 0.7, top)
        decades = range(math.ceil(math.log10(floor) - 1e-9), math.floor(math.log10(top)) + 1)
        axes.set_xticks([zero, *(10.0**d for d in decades)], ["0", *(f"$10^{{{d}}}$" for d in decades)])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.axvline(floor * 10**-0.25, color="0.75", linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    else:
        axes.set_xlim(0.0 - 0.02 * top, top)
    axes.grid(visible=True, which="major", axis="x", color="0.88", linewidth=0.7)
    axes.set_axisbelow(True)


def box_handles() -> list[Line2D]:
    """Return the legend."""
    return [
        Line2D([], [], color=GREY, linewidth=1.2, label="5 % to 95 % of realizations"),
        Line2D([], [], color=GREY, linewidth=6.0, alpha=0.55, label="25 % to 75 %"),
        Line2D([], [], color=GREY, linestyle="none", marker="o", markerfacecolor="white", label="median"),
        Line2D([], [], color=GREY, linestyle="none", marker="|", markersize=12, markeredgewidth=1.8, label="mean"),
    ]

"""The legend of a chart: its series, and what marks, lines and arrows mean."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.lines import Line2D

from uepgpu.charts.chart import Chart
from uepgpu.figures.bands import band_handle
from uepgpu.figures.plain import plain
from uepgpu.figures.style import GUIDE, Style

__all__ = ["BACKGROUND", "LABEL_CHARACTERS", "legend_handles"]

BACKGROUND = "0.78"
"""Colour of series without a name."""
LABEL_CHARACTERS = 40
"""How many characters of a series' name fit in a line of the legend."""


def legend_handles(chart: Chart, styles: dict[str, Style]) -> list[Line2D]:
    """Return the entries of the legend of a chart of lines."""
    return [*_series(chart, styles), *_meanings(chart)]


def _series(chart: Chart, styles: dict[str, Style]) -> list[Line2D]:
    marked = {line.label for line in chart.lines if line.simulated}
    return [
        Line2D(
            [],
            [],
            color=s.color,
            linestyle=GUIDE if label in chart.without_exact and not chart.bands else s.line,
            marker=s.marker if label in marked else "",
            markerfacecolor="white",
            markersize=5,
            linewidth=1.4,
            label=plain(textwrap.fill(label, LABEL_CHARACTERS)),
        )
        for label, s in styles.items()
    ]


def _meanings(chart: Chart) -> list[Line2D]:
    """Return the legend of what marks and lines mean."""
    grey: dict[str, Any] = {"color": "0.4"}
    if chart.bands:
        others = [Line2D([], [], linewidth=1.2, color=BACKGROUND, label=f"{len(chart.muted)} others")] if chart.muted else []
        return [*others, band_handle()]
    handles = [Line2D([], [], linewidth=1.4, label="line: exact", **grey)]
    if chart.muted:
        handles.insert(0, Line2D([], [], linewidth=1.2, color=BACKGROUND, label=f"{len(chart.muted)} others, without marks"))
    if chart.without_exact:
        text = "dotted: no closed form, through the marks"
        handles.append(Line2D([], [], linestyle=GUIDE, linewidth=1.2, label=text, **grey))
    if any(line.simulated for line in chart.lines):
        text = "mark: simulated, 95 % interval"
        handles.append(Line2D([], [], linestyle="none", marker="o", markerfacecolor="white", label=text, **grey))
    if any(line.upper_bound.any() for line in chart.lines):
        text = "arrow down: nothing observed, 95 % upper bound"
        handles.append(Line2D([], [], linestyle="none", marker="$\\downarrow$", markersize=8, label=text, **grey))
    if chart.probability and any(line.lower_bound.any() for line in chart.lines):
        text = "arrow up: no failure observed, 95 % lower bound"
        handles.append(Line2D([], [], linestyle="none", marker="$\\uparrow$", markersize=8, label=text, **grey))
    return handles

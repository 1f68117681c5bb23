"""What a figure shows, before anything is drawn: from simulated points to the lines and boxes of panels.

One builder for each kind; ``uepgpu.figures`` draws them with matplotlib, ``uepgpu.report`` with plotly.
"""

from __future__ import annotations

from uepgpu.charts.chart import Box, Chart, Line, NothingToShow, Panel
from uepgpu.charts.kinds import KINDS, build_chart

__all__ = ["KINDS", "Box", "Chart", "Line", "NothingToShow", "Panel", "build_chart"]

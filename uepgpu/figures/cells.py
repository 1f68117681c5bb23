"""Heat maps drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Rectangle

from uepgpu.figures.plain import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

    from uepgpu.charts.chart import Cells, Chart

__all__ = ["draw_cells", "scale_of"]

MAP = "viridis_r"
MOST_NUMBERS = 120
"""With more cells than this their numbers could not be read."""


def scale_of(chart: Chart) -> Normalize:
    """Return the scale of colours that the cells of a chart share."""
    values = [float(v) for p in chart.panels if p.cells is not None for v in p.cells.value.ravel() if v > 0]
    if not values:
        return Normalize(0.0, 1.0)
    return LogNorm(min(values), max(values)) if chart.logarithmic else Normalize(0.0, max(values))


def draw_cells(axes: Axes, cells: Cells, scale: Normalize) -> ScalarMappable:
    """Draw the cells, each with its number where there is room, and a frame where it is within error of the best."""
    least = float(scale.vmin or 0.0)  # 0 has the colour of the least loss that a logarithmic scale shows
    shown = np.where(np.isnan(cells.value), np.nan, np.maximum(cells.value, least))
    drawn = axes.pcolormesh(np.ma.masked_invalid(shown), cmap=MAP, norm=scale)
    for (i, j), value in np.ndenumerate(cells.value):
        if np.isnan(value):
            continue
        if cells.value.size <= MOST_NUMBERS:
            dark = float(scale(shown[i, j])) > 0.45
            text = "0" if value == 0 else f"{value:.2g}"
            axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "black")
        if cells.uncertain[i, j]:
            frame = Rectangle((j + 0.06, i + 0.06), 0.88, 0.88, fill=False, edgecolor="#D55E00", linewidth=1.6)
            axes.add_patch(frame)
    axes.set_xticks(np.arange(len(cells.columns)) + 0.5, [plain(t) for t in cells.columns])
    axes.set_yticks(np.arange(len(cells.rows)) + 0.5, [plain(t) for t in cells.rows])
    if max(map(len, cells.columns)) > 4:
        axes.tick_params(axis="x", labelrotation=45)
    return drawn

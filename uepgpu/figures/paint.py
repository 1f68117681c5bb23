"""Charts drawn with matplotlib: simulated as marks with intervals, exact as lines, bounds as arrows."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.scale import FuncScale
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from uepgpu.charts.chart import LOSS, Chart, Line, Panel
from uepgpu.charts.crowd import emphasized
from uepgpu.charts.loss import chart_of_curves
from uepgpu.figures.bands import draw_band
from uepgpu.figures.boxes import box_handles, draw_boxes
from uepgpu.figures.cells import draw_cells, scale_of
from uepgpu.figures.file import Picture
from uepgpu.figures.layout import Layout
from uepgpu.figures.legend import BACKGROUND, LABEL_CHARACTERS, legend_handles
from uepgpu.figures.plain import plain
from uepgpu.figures.style import GUIDE, Style, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from uepgpu.results.curve import Curve

__all__ = ["draw", "draw_chart", "draw_panel"]

CHARACTERS_PER_INCH = 9
"""Characters of the title that fit in an inch."""
TITLE_CHARACTERS = 52
"""How many characters of a panel's title fit."""
ENTRY, EXTRA_LINE = 0.175, 0.14
"""Inches that an entry of the legend takes, and each further line of it."""
MEANINGS = 6
"""Entries of a legend besides the series, at most, and its margin."""
ARROW = 5.5
"""Size of the arrows of bounds."""
LETTER, HANDLE, MARGIN = 0.56 / 72, 5.0 / 72, 8.0 / 72
"""Inches that a letter takes, the sample of a legend's entry, and what stands beside an axis, for each point of the font."""
BODY, BOX = 0.58, 2.2 / 72
"""Height of a panel without what is written around it, by its width where that is given; of a box, for each point of the font."""
LINE = 1.45 / 72
"""Inches of a line for each point of the font."""


def draw(curves: Sequence[Curve], title: str) -> Figure:
    """Return the figure of a sweep: loss against deadline.

    Parameters
    ----------
    curves : sequence of Curve
        At least one.
    title : str
    """
    return draw_chart(chart_of_curves(curves, title))


def draw_chart(chart: Chart, layout: Layout | None = None) -> Figure:
    """Return the figure of a chart: its panels and one legend, beside them or below; of many series the best are named."""
    layout = layout or Layout()
    sizes = layout.sizes
    chart = _in_columns(emphasized(chart), layout)
    boxes = any(p.boxes for p in chart.panels)
    styles = {label: style(number) for label, number in chart.looks.items()}
    handles = box_handles() if boxes else legend_handles(chart, styles)
    across = _legend_columns(handles, layout)
    width, height = _size(chart, layout, -(-len(handles) // across))
    note = _note(chart, width, layout)
    foot = 0.0 if layout.width is None else LINE * sizes.note * len(note)  # below the legend
    height += 0.0 if layout.height else foot
    figure = Picture(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(chart.rows), max(map(len, chart.rows)), squeeze=False, sharex=False, sharey=False)
    scale = scale_of(chart)
    maps: ScalarMappable | None = None
    for i, row in enumerate(chart.rows):
        for j, panel in enumerate(row):
            axes: Axes = grid[i, j]
            if panel is None:
                axes.set_visible(False)
                continue
            maps = _draw_panel(axes, panel, styles, chart, scale, named=j == 0)
            _finish(axes, panel, layout, width / len(row))
    if maps is not None:
        figure.colorbar(maps, ax=grid, label=LOSS, shrink=0.8).ax.tick_params(labelsize=sizes.tick)
    else:
        common: dict[str, Any] = {"fontsize": sizes.legend, "frameon": False, "handlelength": 3.2, "ncols": across}
        if layout.width is None:
            figure.legend(handles=handles, loc="outside right center", **common)
        else:
            legend = figure.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, foot / height), **common)
            legend.set_in_layout(False)  # room for it is left here, since notes stand below it
            foot += legend.get_window_extent().height / figure.dpi + sizes.legend / 72
    return _titled(figure, chart, layout, note, foot)


def draw_panel(chart: Chart, axes: Axes, layout: Layout) -> None:
    """Draw a chart of one panel into axes of someone's own, with its legend or the scale of its colours, without title and notes.

    Parameters
    ----------
    chart : Chart
    axes : Axes
    layout : Layout
        Without a width, which is that of the axes.

    Raises
    ------
    ValueError
        If the chart has several panels.
    """
    if len(chart.panels) > 1:
        raise ValueError(f"ax takes one panel, this figure has {len(chart.panels)}: choose one by panels=[1], or draw without ax")
    chart = emphasized(chart)
    styles = {label: style(number) for label, number in chart.looks.items()}
    (panel,) = chart.panels
    maps = _draw_panel(axes, panel, styles, chart, scale_of(chart), named=True)
    _finish(axes, panel, layout, 0.0)
    if maps is not None:
        figure = axes.get_figure(root=True)
        assert figure is not None
        figure.colorbar(maps, ax=axes, label=LOSS)
    else:
        handles = box_handles() if panel.boxes else legend_handles(chart, styles)
        axes.legend(handles=handles, fontsize=layout.sizes.legend, frameon=False, handlelength=3.2)


def _draw_panel(
    axes: Axes, panel: Panel, styles: dict[str, Style], chart: Chart, scale: Normalize, *, named: bool
) -> ScalarMappable | None:
    """Draw what a panel shows, and return what its colours mean, if it has any."""
    if panel.cells is not None:
        return draw_cells(axes, panel.cells, scale)
    if panel.boxes:
        draw_boxes(axes, panel, styles, chart, named=named)
    else:
        _draw_lines(axes, panel, styles, chart)
    return None


def _in_columns(chart: Chart, layout: Layout) -> Chart:
    """Return the chart with as many panels side by side as there is room for."""
    wanted = max(map(len, chart.rows))
    columns = layout.columns(wanted)
    if columns == wanted:
        return chart
    panels = chart.panels
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    return replace(chart, rows=tuple((*row, *[None] * (columns - len(row))) for row in rows))


def _legend_columns(handles: Sequence[Line2D], layout: Layout) -> int:
    """Return how many entries of the legend stand side by side."""
    if layout.width is None:
        return 1
    longest = max(len(line) for handle in handles for line in str(handle.get_label()).splitlines())
    return max(1, min(len(handles), int(layout.width / ((HANDLE + LETTER * longest) * layout.sizes.legend))))


def _size(chart: Chart, layout: Layout, legend_rows: int) -> tuple[float, float]:
    """Return the width and the height of the figure in inches."""
    n_rows, n_columns = len(chart.rows), max(map(len, chart.rows))
    boxes = max((len(p.boxes) for p in chart.panels), default=0)
    if layout.width is not None:
        sizes, width = layout.sizes, layout.width / n_columns
        body = 0.3 + BOX * sizes.label * boxes if boxes else BODY * width
        height = sum(body + max(_around(p, layout, width) for p in row if p is not None) for row in chart.rows)
        height += LINE * sizes.title * len(_title(chart, layout.width, layout))
        return layout.width, layout.height or height + LINE * sizes.legend * legend_rows
    longest = max((len(label) for label in chart.looks), default=0)
    width = 4.4 * n_columns + max(2.9, 0.9 + 0.07 * min(longest, LABEL_CHARACTERS))
    row = max(3.6, 1.2 + 0.34 * boxes) if boxes else 3.6
    legend = ENTRY * (len(chart.looks) + MEANINGS) + EXTRA_LINE * sum(len(label) // LABEL_CHARACTERS for label in chart.looks)
    height = row * n_rows + 0.9
    return width, layout.height or (height if boxes else max(height, legend))


def _written(panel: Panel, layout: Layout, width: float) -> tuple[list[str], list[str], list[str]]:
    """Return the lines of the title, the x label and the y label of a panel that is `width` inches wide."""
    sizes = layout.sizes
    if layout.width is None:
        return textwrap.wrap(panel.title, TITLE_CHARACTERS), [panel.x_label], [panel.y_label]
    beside = max(MARGIN * sizes.label, LETTER * sizes.tick * max((len(box.label) for box in panel.boxes), default=0))
    across = max(12, int((width - beside) / (LETTER * sizes.panel)))
    up = max(12, int(1.15 * BODY * width / (LETTER * sizes.label)))  # it may be a little longer than the axis
    return textwrap.wrap(panel.title, across), textwrap.wrap(panel.x_label, across), textwrap.wrap(panel.y_label, up)


def _around(panel: Panel, layout: Layout, width: float) -> float:
    """Return the inches that title, x label and ticks of a panel take above and below it."""
    sizes = layout.sizes
    title, label, _ = _written(panel, layout, width)
    # Words as ticks stand askew.
    slanted = 0.7 * LETTER * sizes.tick * max(map(len, panel.ticks), default=0)
    return LINE * (sizes.panel * len(title) + sizes.label * len(label) + sizes.tick) + slanted


def _finish(axes: Axes, panel: Panel, layout: Layout, width: float) -> None:
    """Write what stands around a panel that is `width` inches wide, and set the ends of its axes."""
    sizes = layout.sizes
    title, x_label, y_label = (plain("\n".join(lines)) for lines in _written(panel, layout, width))
    axes.set_title(title, fontsize=sizes.panel)
    axes.set_xlabel(x_label, fontsize=sizes.label)
    axes.set_ylabel(y_label, fontsize=sizes.label)
    axes.tick_params(labelsize=sizes.tick)
    for side in ("top", "right"):
        axes.spines[side].set_visible(panel.cells is not None)
    for name in layout.roots:
        axes.set(**{f"{name}scale": FuncScale(None, (_root, _square))})
    if layout.x_limits is not None:
        axes.set_xlim(layout.x_limits)
    if layout.y_limits is not None:
        axes.set_ylim(layout.y_limits)


def _root(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.sign(x) * np.sqrt(np.abs(x)))


def _square(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.sign(x) * np.square(x))


def _note(chart: Chart, width: float, layout: Layout) -> list[str]:
    """Return the lines of the notes."""
    fits = int(width * CHARACTERS_PER_INCH * 1.5) if layout.width is None else int(width / (LETTER * layout.sizes.note))
    return textwrap.wrap(" ".join(chart.notes), fits)


def _title(chart: Chart, width: float, layout: Layout) -> list[str]:
    """Return the lines of the title."""
    fits = int(width * CHARACTERS_PER_INCH) if layout.width is None else int(width / (LETTER * layout.sizes.title))
    return textwrap.wrap(chart.title, fits)


def _titled(figure: Figure, chart: Chart, layout: Layout, note: list[str], foot: float) -> Figure:
    """Write the title above the panels and the notes below them, where `foot` inches are left for these below all else."""
    sizes, (width, height) = layout.sizes, figure.get_size_inches()
    if foot:
        engine = figure.get_layout_engine()
        assert isinstance(engine, ConstrainedLayoutEngine)
        engine.set(rect=(0.0, foot / height, 1.0, 1.0 - foot / height))
    if chart.title:
        figure.suptitle(plain("\n".join(_title(chart, width, layout))), fontsize=sizes.title, x=0.01, ha="left")
    if note:
        style_of_note: dict[str, Any] = {"fontsize": sizes.note, "ha": "left", "color": "0.3"}
        text = plain("\n".join(note))
        if foot:
            figure.text(0.01, 0.03 / height, text, va="bottom", **style_of_note)
        else:
            figure.supxlabel(text, x=0.01, **style_of_note)
    return figure


def _draw_lines(axes: Axes, panel: Panel, styles: dict[str, Style], chart: Chart) -> None:
    floor, top = panel.y_range or chart.value_range()
    for line in panel.lines:
        if line.label in chart.muted:
            y = line.value if line.exact is None else np.where(np.isnan(line.exact), line.value, line.exact)
            axes.plot(*chart.path(line, _shown(y, chart)), color=BACKGROUND, linewidth=0.8, zorder=1, drawstyle=_style(chart))
            continue
        if chart.bands:
            draw_band(axes, line, styles[line.label], chart.looks[line.label])
            continue
        _draw_line(axes, line, styles[line.label], chart, chart.turn(panel, line), floor)
    axes.set_ylim(floor, top)
    if chart.logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(floor, top)
        axes.yaxis.set_major_locator(LogLocator(base=10, numticks=15))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if chart.bands and not chart.log_x:
        axes.margins(x=0)
    if chart.log_x:
        axes.set_xscale("log")
        if chart.steps:
            axes.set_xlim(left=chart.left)
        if chart.bands:
            axes.xaxis.set_minor_formatter(NullFormatter())
    elif panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), [plain(t) for t in panel.ticks], rotation=30, ha="right")
    elif chart.whole_x:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, which="major", color="0.88", linewidth=0.7)
    axes.set_axisbelow(True)


def _shown(values: NDArray[np.float64], chart: Chart) -> NDArray[np.float64]:
    """Leave out what a logarithmic axis cannot show."""
    return np.where(values > 0, values, np.nan) if chart.logarithmic else values


def _style(chart: Chart) -> str:
    return "steps-pre" if chart.steps else "default"


def _draw_line(axes: Axes, line: Line, look: Style, chart: Chart, turn: NDArray[np.bool_], floor: float) -> None:
    if line.exact is not None:
        path = chart.path(line, _shown(line.exact, chart))
        axes.plot(*path, color=look.color, linestyle=look.line, linewidth=1.4, zorder=2, drawstyle=_style(chart))
    else:
        through = np.where(line.drawn(probability=chart.probability), line.value, np.nan)
        path = chart.path(line, through)
        axes.plot(*path, color=look.color, linestyle=GUIDE, linewidth=1.2, zorder=2, drawstyle=_style(chart))
    observed = turn & line.drawn(probability=chart.probability)
    value = line.value[observed]
    low = line.low[observed] if not chart.logarithmic else np.maximum(line.low[observed], floor * 1e-3)
    axes.errorbar(
        line.x[observed],
        value,
        yerr=(np.maximum(value - low, 0.0), np.maximum(line.high[observed] - value, 0.0)),
        fmt=look.marker,
        color=look.color,
        markerfacecolor="white",
        markersize=4.5,
        markeredgewidth=1.1,
        elinewidth=1.1,
        capsize=2.0,
        zorder=3,
    )
    bounds = [(line.upper_bound, line.high, -1)]
    if chart.probability:
        bounds.append((line.lower_bound, line.low, 1))
    for where, at, direction in bounds:
        _draw_bounds(axes, line.x[turn & where], at[turn & where], direction, look.color, line.label)


def _draw_bounds(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], direction: int, color: str, label: str) -> None:
    """Draw bounds as a bar with an arrow towards where the truth is: "at most this", never a zero with no error."""
    if x.size == 0:
        return
    common: dict[str, Any] = {"color": color, "linestyle": "none", "zorder": 3}
    axes.plot(x, y, marker="_", markersize=ARROW + 2, markeredgewidth=1.3, gid=f"bound {label}", **common)
    arrow = "$\\downarrow$" if direction < 0 else "$\\uparrow$"
    axes.plot(x, y, marker=arrow, markersize=ARROW + 2, markeredgewidth=0.4, **common)

"""The figure of a sweep: loss against deadline, simulated as points with intervals, exact as lines."""

from __future__ import annotations

import io
import itertools
import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from uepgpu.sweep.curve import Curve

__all__ = ["draw", "to_png"]

Floats = NDArray[np.float64]
Dashes = tuple[float, tuple[float, ...]]

OKABE_ITO = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that colour-blind readers tell apart (Okabe and Ito 2008), without the yellow, which white paper swallows."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Dashes, ...] = ((0, ()), (0, (5, 2)), (0, (5, 1.5, 1, 1.5)))
PARADIGMS = {"rxc": "row-times-column (rxc)", "cxr": "column-times-row (cxr)"}
GUIDE: Dashes = (0, (1, 2))
CHARACTERS_PER_INCH = 9
"""How much of the title fits."""
MOST_MARKS = 120
"""Marks per panel: more would hide the lines."""


class _Style:
    """How one label is drawn, in every panel alike."""

    def __init__(self, number: int) -> None:
        self.color = OKABE_ITO[number % len(OKABE_ITO)]
        self.marker = MARKERS[(number + number // len(OKABE_ITO)) % len(MARKERS)]
        self.line = LINES[number // len(OKABE_ITO) % len(LINES)]


def _floor(curves: Sequence[Curve]) -> float:
    """Lower end of the loss axis: what was simulated, not how far the closed form could be followed."""
    seen = [float(v) for c in curves for v in c.normalized if v > 0]
    smallest = min(seen, default=1e-3)
    return max(10.0 ** math.floor(math.log10(smallest * 0.8)), 1e-9)


def _positive(loss: Floats) -> Floats:
    return np.where(loss > 0, loss, np.nan)


def _draw_curve(axes: Axes, curve: Curve, style: _Style, floor: float, offset: int, step: int) -> None:
    t = curve.deadlines
    if curve.exact is not None:
        axes.plot(t, _positive(curve.exact), color=style.color, linestyle=style.line, linewidth=1.4, zorder=2)
    else:
        axes.plot(t, _positive(curve.normalized), color=style.color, linestyle=GUIDE, linewidth=1.2, zorder=2)
    # Curves take turns at the deadlines, so that marks of equal curves do not hide each other.
    observed = (np.arange(t.size) % step == offset % step) & (curve.normalized > 0)
    value = curve.normalized[observed]
    low = np.maximum(value - np.maximum(curve.normalized_low[observed], floor * 1e-3), 0.0)
    high = np.maximum(curve.normalized_high[observed] - value, 0.0)
    axes.errorbar(
        t[observed],
        value,
        yerr=(low, high),
        fmt=style.marker,
        color=style.color,
        markerfacecolor="white",
        markersize=4.5,
        markeredgewidth=1.1,
        elinewidth=1.1,
        capsize=2.0,
        zorder=3,
    )


def _decorate(axes: Axes, floor: float, top: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(floor, top)
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=15))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", color="0.88", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(curves: Sequence[Curve], title: str) -> Figure:
    """Return the figure: a column of panels per partition, a row per work model, one legend beside them.

    Parameters
    ----------
    curves : sequence of Curve
        At least one.
    title : str
    """
    partitions = list(dict.fromkeys(c.point.partition for c in curves))
    works = list(dict.fromkeys(c.point.workers.work for c in curves))
    labels = list(dict.fromkeys(c.point.series for c in curves))
    styles = {label: _Style(i) for i, label in enumerate(labels)}
    width = 4.4 * len(partitions) + 2.9
    figure = Figure(figsize=(width, 3.6 * len(works) + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(works), len(partitions), squeeze=False, sharex=False, sharey=False)
    top = max(1.5, 1.3 * max(float(np.max(c.normalized_high)) for c in curves))
    floor = _floor(curves)
    for (i, work), (j, partition) in itertools.product(enumerate(works), enumerate(partitions)):
        axes: Axes = grid[i, j]
        members = [c for c in curves if c.point.panel == (partition, work)]
        if not members:
            axes.set_visible(False)
            continue
        step = max(1, -(-len(members) * max(len(c.point.deadlines) for c in members) // MOST_MARKS))
        for curve in members:
            _draw_curve(axes, curve, styles[curve.point.series], floor, labels.index(curve.point.series), step)
        _decorate(axes, floor, top)
        paradigm = PARADIGMS[members[0].point.part.paradigm]
        name = paradigm if partition == members[0].point.part.paradigm else f"{partition}: {paradigm}"
        axes.set_title(f"{name}, {work} work", fontsize=10)
        axes.set_xlabel("deadline t (unit of time of the latency law)", fontsize=9)
        axes.set_ylabel("normalized loss  E‖C − Ĉ‖² / ‖C‖²", fontsize=9)
        axes.tick_params(labelsize=8)
    exact = {c.point.series for c in curves if c.exact is not None}
    handles: list[Line2D] = [
        Line2D(
            [],
            [],
            color=s.color,
            linestyle=s.line if label in exact else GUIDE,
            marker=s.marker,
            markerfacecolor="white",
            markersize=5,
            linewidth=1.4,
            label=label,
        )
        for label, s in styles.items()
    ]
    handles.append(Line2D([], [], color="0.4", linewidth=1.4, label="line: exact"))
    if any(c.exact is None for c in curves):
        handles.append(
            Line2D([], [], color="0.4", linestyle=GUIDE, linewidth=1.2, label="dotted: no closed form, through the marks")
        )
    handles.append(
        Line2D([], [], color="0.4", linestyle="none", marker="o", markerfacecolor="white", label="mark: simulated, 95 % interval")
    )
    figure.legend(handles=handles, loc="outside right center", fontsize=8, frameon=False, handlelength=3.2)
    figure.suptitle(textwrap.fill(title, int(width * CHARACTERS_PER_INCH)), fontsize=11, x=0.01, ha="left")
    return figure


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()

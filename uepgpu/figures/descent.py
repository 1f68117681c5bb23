"""The figure of a study: error over iterations and over simulated time, a column of panels per data set."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from uepgpu.figures.plain import plain
from uepgpu.figures.style import style
from uepgpu.results.setting import axis_of_time, describe_workers
from uepgpu.tally.intervals import NORMAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from uepgpu.gradient_coding.table import Convergence

__all__ = ["draw"]

Floats = NDArray[np.float64]
MARKS = 7
"""Marks on a curve."""
HIGHEST = 2.0
"""Errors above this are cut off: the start has error 1, and what is far above it diverges."""
LOWEST = 1e-6


def _curve(axes: Axes, x: Floats, error: Floats, spread: Floats, number: int, label: str) -> None:
    look = style(number)
    # A curve that leaves the panel ends just above it: its band would cover the others.
    shown = np.isfinite(error) & (error > 0) & (np.fmax.accumulate(error) <= 10 * HIGHEST)
    x, error, spread = x[shown], error[shown], np.nan_to_num(spread[shown])
    every = max(1, x.size // MARKS)
    # Curves are marked in turn, so that marks of equal curves do not hide each other.
    start = number * every // 9 % every
    axes.plot(
        x,
        error,
        linewidth=1.3,
        markersize=4.5,
        markerfacecolor="white",
        markevery=(start, every),
        label=plain(label),
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
    )
    low, high = np.maximum(error - NORMAL * spread, LOWEST / 10), error + NORMAL * spread
    axes.fill_between(x, low, high, color=look.color, alpha=0.2, linewidth=0)


def _decorate(axes: Axes, floor: float, xlabel: str, title: str) -> None:
    axes.set_yscale("log")
    axes.set_ylim(floor, HIGHEST)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=15))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", color="0.88", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel("mean error  ‖x − x*‖ / ‖x*‖", fontsize=9)
    axes.set_title(plain(title), fontsize=10)
    axes.tick_params(labelsize=8)


def draw(curves: Sequence[Convergence], title: str) -> Figure:
    """Return the figure; bands are 95 % intervals of the means."""
    names = list(dict.fromkeys(c.point.data for c in curves))
    labels = list(dict.fromkeys(c.point.series for c in curves))
    width = 4.6 * len(names) + 3.0
    figure = Figure(figsize=(width, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(names), squeeze=False)
    for column, name in enumerate(names):
        members = [c for c in curves if c.point.data == name]
        ends = [float(e) for c in members for e in (*c.run.error.values, *c.run.error_at_deadline.values) if LOWEST < e < 1]
        floor = max(LOWEST, 0.5 * min(ends, default=LOWEST))
        for curve in members:
            run, number = curve.run, labels.index(curve.point.series)
            steps = run.iteration.values.astype(np.float64)
            _curve(grid[0, column], steps, run.error.values, run.error_stderr.values, number, curve.point.series)
            times = np.asarray(curve.point.deadlines)
            error, spread = run.error_at_deadline.values, run.error_at_deadline_stderr.values
            _curve(grid[1, column], times, error, spread, number, curve.point.series)
        grid[0, column].set_xlim(right=members[0].point.iterations)
        grid[1, column].set_xlim(right=max(members[0].point.deadlines))
        n, d = members[0].point.problem.shape
        _decorate(grid[0, column], floor, "iteration t", f"{name}: A {n} × {d}, over iterations")
        _decorate(grid[1, column], floor, axis_of_time("time", members[0].point.workers.time_unit), f"{name}: over simulated time")
    handles, texts = [], []
    for column in range(len(names)):
        for handle, text in zip(*grid[0, column].get_legend_handles_labels(), strict=True):
            if text not in texts:
                handles.append(handle)
                texts.append(text)
    figure.legend(handles, texts, loc="outside right center", fontsize=8, frameon=False, handlelength=3.2)
    first = curves[0].point
    setting = f"{describe_workers(first.workers, first.problem.blocks)} One unit of work is the gradient of a block."
    figure.supxlabel(plain(textwrap.fill(setting, int(width * 13))), fontsize=8, x=0.01, ha="left", color="0.3")
    figure.suptitle(plain(textwrap.fill(title, int(width * 9))), fontsize=11, x=0.01, ha="left")
    return figure

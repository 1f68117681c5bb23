"""Error of gradient descent, over iterations and over simulated time: a column of panels per data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from uepgpu.charts.chart import Chart, Line, Panel
from uepgpu.results.descents import Descent
from uepgpu.results.setting import axis_of_time
from uepgpu.tally.intervals import NORMAL

__all__ = ["descent_chart"]

Floats = NDArray[np.float64]

ERROR = "mean error  ‖x − x*‖ / ‖x*‖"
WORK = "One unit of work is the gradient of a block."
HIGHEST = 2.0
"""Errors above this are cut off: the start has error 1, and what is far above it diverges."""
LOWEST = 1e-6


def descent_chart(descents: Sequence[Descent], title: str) -> Chart:
    """Return the chart of descents.

    Parameters
    ----------
    descents : sequence of Descent
        At least one.
    title : str
    """
    looks = {label: i for i, label in enumerate(dict.fromkeys(d.series for d in descents))}
    columns = [[d for d in descents if d.data == name] for name in dict.fromkeys(d.data for d in descents)]
    rows = [tuple(_panel(mine, "iterations", "iteration t", _over_iterations) for mine in columns)]
    time = [axis_of_time("time", mine[0].time_unit) for mine in columns]
    rows.append(tuple(_panel(mine, "simulated time", label, _over_time) for mine, label in zip(columns, time, strict=True)))
    settings = dict.fromkeys(d.setting for d in descents if d.setting)
    notes = (f"{' '.join(settings)} {WORK}",) if settings else ()
    return Chart("descent", title, tuple(rows), looks, notes=notes, bands=True)


def _panel(members: Sequence[Descent], along: str, x_label: str, of: Callable[[Descent], tuple[Floats, ...]]) -> Panel:
    lines = tuple(_line(d.series, *of(d)) for d in members)
    name = ": ".join(filter(None, (members[0].data, members[0].size if of is _over_iterations else "")))
    ends = [float(e) for d in members for e in (*d.error, *d.at_deadline) if LOWEST < e < 1]
    floor = max(LOWEST, 0.5 * min(ends, default=LOWEST))
    return Panel(f"{name}, over {along}" if name else f"over {along}", x_label, ERROR, lines, y_range=(floor, HIGHEST))


def _over_iterations(d: Descent) -> tuple[Floats, Floats, Floats]:
    return np.arange(d.error.size, dtype=np.float64), d.error, d.error_stderr


def _over_time(d: Descent) -> tuple[Floats, Floats, Floats]:
    """Return the error at times, or where none were asked for the error of iterations at their mean times."""
    return (d.deadlines, d.at_deadline, d.at_deadline_stderr) if d.deadlines.size else (d.time, d.error, d.error_stderr)


def _line(label: str, x: Floats, error: Floats, spread: Floats) -> Line:
    # A curve that leaves the panel ends just above it: its band would cover the others.
    shown = np.isfinite(error) & (error > 0) & (np.fmax.accumulate(error) <= 10 * HIGHEST)
    x, error, spread = x[shown], error[shown], np.nan_to_num(spread[shown])
    return Line(label, x, error, np.maximum(error - NORMAL * spread, LOWEST / 10), error + NORMAL * spread, None)

"""Loss against the deadline: a column of panels per partition, a row per work model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uepgpu.charts.chart import LOSS, Chart, Line, Panel, call_for_log_x, grid_of, looks_of, panel_title
from uepgpu.results.curve import Curve, curve_of
from uepgpu.results.limits import Limits, limit_key
from uepgpu.results.setting import describe_setting, time_axis
from uepgpu.results.simulated import Simulated

__all__ = ["BOUND", "chart_of_curves", "loss_chart"]

BOUND = "lower bound"
NOTE = "The lower bound holds for zero-filling with sub-products decoded one by one, whatever the code."
FAR = 0.1
"""The bound is shown down to this share of the least loss: it falls below what an axis of losses should show."""


def loss_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of loss against deadline; `at` has no meaning here, all deadlines are shown."""
    return chart_of_curves([curve_of(s) for s in simulated], title)


def chart_of_curves(curves: Sequence[Curve], title: str, *, bound: bool = False) -> Chart:
    """Return the chart of existing curves.

    Parameters
    ----------
    curves : sequence of Curve
        At least one.
    title : str
    bound : bool
        With the lower bound of the loss in every panel of one product and one kind of workers.
    """
    works, partitions = grid_of([c.point for c in curves])
    points = [c.point for c in curves]
    limits, axis = Limits(), time_axis(points)
    rows: list[tuple[Panel | None, ...]] = []
    for work in works:
        row: list[Panel | None] = []
        for partition in partitions:
            members = [c for c in curves if c.point.panel == (partition, work)]
            lines = tuple(
                Line(c.point.series, c.deadlines, c.normalized, c.normalized_low, c.normalized_high, c.exact) for c in members
            )
            if bound and members:
                lines += _bounds(members, limits)
            row.append(Panel(panel_title(members[0].point), axis, LOSS, lines) if members else None)
        rows.append(tuple(row))
    log_x = call_for_log_x([t for c in curves for t in c.deadlines])
    looks = looks_of(points, points)
    notes: tuple[str, ...] = (describe_setting(points),)
    if any(line.label == BOUND for row in rows for panel in row if panel for line in panel.lines):
        looks, notes = looks | {BOUND: max(looks.values()) + 1}, (*notes, NOTE)
    return Chart("loss", title, tuple(rows), looks, log_x=log_x, notes=notes)


def _bounds(members: Sequence[Curve], limits: Limits) -> tuple[Line, ...]:
    """Return the line of the bound that the curves of a panel share, if they do."""
    if len({limit_key(c.point) for c in members}) > 1:
        return ()
    longest = max(members, key=lambda c: len(c.point.deadlines))
    least = min((float(c.normalized[c.normalized > 0].min(initial=np.inf)) for c in members), default=np.inf)
    value = limits.bound(longest.point, [c.point for c in members])
    nothing = np.full(value.size, np.nan)
    return (Line(BOUND, longest.deadlines, nothing, nothing, nothing, np.where(value >= FAR * min(least, 1.0), value, np.nan)),)

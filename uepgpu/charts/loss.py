"""Loss against the deadline: a column of panels per partition, a row per work model."""

from __future__ import annotations

from collections.abc import Sequence

from uepgpu.charts.chart import DEADLINE, LOSS, Chart, Line, Panel, call_for_log_x, grid_of, looks_of, panel_title
from uepgpu.results.curve import Curve, curve_of
from uepgpu.results.simulated import Simulated

__all__ = ["chart_of_curves", "loss_chart"]


def loss_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of loss against deadline; `at` has no meaning here, all deadlines are shown."""
    return chart_of_curves([curve_of(s) for s in simulated], title)


def chart_of_curves(curves: Sequence[Curve], title: str) -> Chart:
    """Return the chart of existing curves.

    Parameters
    ----------
    curves : sequence of Curve
        At least one.
    title : str
    """
    works, partitions = grid_of([c.point for c in curves])
    rows: list[tuple[Panel | None, ...]] = []
    for work in works:
        row: list[Panel | None] = []
        for partition in partitions:
            members = [c for c in curves if c.point.panel == (partition, work)]
            lines = tuple(
                Line(c.point.series, c.deadlines, c.normalized, c.normalized_low, c.normalized_high, c.exact) for c in members
            )
            row.append(Panel(panel_title(members[0].point), DEADLINE, LOSS, lines) if members else None)
        rows.append(tuple(row))
    points = [c.point for c in curves]
    log_x = call_for_log_x([t for c in curves for t in c.deadlines])
    return Chart("loss", title, tuple(rows), looks_of(points, points), log_x=log_x)

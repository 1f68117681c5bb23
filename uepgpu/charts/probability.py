"""Probability that a class is decoded, against the deadline: a column of panels per class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uepgpu import theory
from uepgpu.charts.chart import Chart, Floats, Line, Panel, call_for_log_x, looks_of, panel_title
from uepgpu.points.point import Point
from uepgpu.results.setting import time_axis
from uepgpu.results.simulated import Simulated

__all__ = ["probability_chart", "rows_of"]

MOST_COLUMNS = 4


def probability_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of decoding probabilities; every tally has them."""
    panels: list[list[Panel]] = []
    points = [s.point for s in simulated]
    time = time_axis(points)
    for key in dict.fromkeys(s.point.panel for s in simulated):
        members = [s for s in simulated if s.point.panel == key]
        by_class = [_lines(s) for s in members]
        panels.append(
            [
                Panel(
                    f"class {c + 1}: {panel_title(members[0].point)}",
                    time,
                    f"Pr[class {c + 1} is decoded by t]",
                    tuple(lines[c] for lines in by_class),
                )
                for c in range(members[0].point.part.n_classes)
            ]
        )
    axis = [t for s in simulated for t in s.point.deadlines]
    return Chart("probability", title, rows_of(panels), looks_of(points, points), True, False, call_for_log_x(axis))


def rows_of(groups: Sequence[Sequence[Panel]]) -> tuple[tuple[Panel | None, ...], ...]:
    """Return rows of panels, each of one group: of the classes of one product and work."""
    rows: list[tuple[Panel | None, ...]] = []
    columns = min(max(map(len, groups)), MOST_COLUMNS)
    for group in groups:
        for start in range(0, len(group), columns):
            part = group[start : start + columns]
            rows.append((*part, *[None] * (columns - len(part))))
    return tuple(rows)


def _lines(simulated: Simulated) -> list[Line]:
    """Return the line of each class."""
    point, tally = simulated.point, simulated.tally
    times = {"workers": point.workers, "deadlines": point.deadlines} if tally.domain == "count" else {}
    found = tally.decoding_probability(**times)  # type: ignore[arg-type]
    value, low, high = (np.asarray(found[name].values, dtype=np.float64) for name in ("probability", "low", "high"))
    exact = _exact(point)
    x = np.asarray(point.deadlines)
    return [
        Line(point.series, x, value[:, c], low[:, c], high[:, c], None if exact is None else exact[:, c])
        for c in range(value.shape[1])
    ]


def _exact(point: Point) -> Floats | None:
    try:
        found = theory.decoding_probability(point.code, point.part, workers=point.workers, deadlines=point.deadlines)
    except NotImplementedError:
        return None
    return np.asarray(found["probability"].values, dtype=np.float64)

"""Probability that a class is decoded, against the deadline or packets received: a column of panels per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uepgpu import theory
from uepgpu.charts.chart import Chart, Floats, Line, Panel, call_for_log_x, looks_of, panel_title
from uepgpu.charts.packets import RECEIVED, counted_points
from uepgpu.points.point import Point
from uepgpu.results.setting import time_axis
from uepgpu.results.simulated import Simulated, decoding_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["decoding_chart", "probability_chart"]

MOST_COLUMNS = 4


def probability_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of decoding probabilities against the deadline; every tally has them."""
    points = [s.point for s in simulated]
    rows = _panels(simulated, time_axis(points), " by t", _by_deadline)
    axis = [t for p in points for t in p.deadlines]
    return Chart("probability", title, rows, looks_of(points, points), True, False, call_for_log_x(axis))


def decoding_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of decoding probabilities against packets received.

    Raises
    ------
    NothingToShow
        If no point was simulated in the count domain.
    """
    counted, notes = counted_points(simulated)
    looks = looks_of([s.point for s in simulated], [s.point for s in counted])
    rows = _panels(counted, RECEIVED, "", _by_packets)
    return Chart("decoding", title, rows, looks, probability=True, logarithmic=False, notes=notes, whole_x=True)


def _panels(
    simulated: Sequence[Simulated], x_label: str, when: str, lines_of: Callable[[Simulated], list[Line]]
) -> tuple[tuple[Panel | None, ...], ...]:
    """Return a row of panels for each product and work, one for each class; `lines_of` makes the lines of a point by class."""
    groups = []
    for key in dict.fromkeys(s.point.panel for s in simulated):
        members = [s for s in simulated if s.point.panel == key]
        by_class = [lines_of(s) for s in members]
        groups.append(
            [
                Panel(
                    f"class {c + 1}: {panel_title(members[0].point)}",
                    x_label,
                    f"Pr[class {c + 1} is decoded{when}]",
                    tuple(lines[c] for lines in by_class),
                )
                for c in range(members[0].point.part.n_classes)
            ]
        )
    return _rows(groups)


def _rows(groups: Sequence[Sequence[Panel]]) -> tuple[tuple[Panel | None, ...], ...]:
    """Return rows of panels, each of one group: of the classes of one product and work."""
    rows: list[tuple[Panel | None, ...]] = []
    columns = min(max(map(len, groups)), MOST_COLUMNS)
    for group in groups:
        for start in range(0, len(group), columns):
            part = group[start : start + columns]
            rows.append((*part, *[None] * (columns - len(part))))
    return tuple(rows)


def _by_deadline(simulated: Simulated) -> list[Line]:
    point = simulated.point
    counted = simulated.tally.domain == "count"
    found = decoding_of(simulated, **({"workers": point.workers, "deadlines": point.deadlines} if counted else {}))
    return _lines(point, np.asarray(point.deadlines), found, deadlines=point.deadlines)


def _by_packets(simulated: Simulated) -> list[Line]:
    n_packets = simulated.tally.n_packets
    found = decoding_of(simulated)
    return _lines(simulated.point, np.arange(n_packets + 1.0), found, received=range(n_packets + 1))


def _lines(point: Point, x: Floats, found: xr.Dataset, **when: Any) -> list[Line]:
    """Return the line of each class, with the exact values of `when` where there are any."""
    value, low, high = (np.asarray(found[name].values, dtype=np.float64) for name in ("probability", "low", "high"))
    exact = _exact(point, **when)
    return [
        Line(point.series, x, value[:, c], low[:, c], high[:, c], None if exact is None else exact[:, c])
        for c in range(value.shape[1])
    ]


def _exact(point: Point, **when: Any) -> Floats | None:
    try:
        found = theory.decoding_probability(point.code, point.part, point.workers, **when)
    except NotImplementedError:
        return None
    return np.asarray(found["probability"].values, dtype=np.float64)

"""Probability that a class is decoded, against the number of packets received: the figure of papers on codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uepgpu import theory
from uepgpu.charts.chart import Chart, Floats, Line, Panel, looks_of, panel_title
from uepgpu.charts.packets import RECEIVED, counted_points
from uepgpu.charts.probability import rows_of
from uepgpu.points.point import Point
from uepgpu.results.simulated import Simulated

__all__ = ["decoding_chart"]


def decoding_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of decoding probabilities against packets received: a column of panels for each class.

    Raises
    ------
    NothingToShow
        If no point was simulated in the count domain.
    """
    counted, notes = counted_points(simulated)
    groups = []
    for key in dict.fromkeys(s.point.panel for s in counted):
        members = [s for s in counted if s.point.panel == key]
        by_class = [_lines(s) for s in members]
        groups.append(
            [
                Panel(
                    f"class {c + 1}: {panel_title(members[0].point)}",
                    RECEIVED,
                    f"Pr[class {c + 1} is decoded]",
                    tuple(lines[c] for lines in by_class),
                )
                for c in range(members[0].point.part.n_classes)
            ]
        )
    looks = looks_of([s.point for s in simulated], [s.point for s in counted])
    return Chart("decoding", title, rows_of(groups), looks, probability=True, logarithmic=False, notes=notes, whole_x=True)


def _lines(simulated: Simulated) -> list[Line]:
    """Return the line of each class."""
    point, n_packets = simulated.point, simulated.tally.n_packets
    found = simulated.tally.decoding_probability()
    value, low, high = (np.asarray(found[name].values, dtype=np.float64) for name in ("probability", "low", "high"))
    exact = _exact(point, n_packets)
    x = np.arange(n_packets + 1.0)
    return [
        Line(point.series, x, value[:, c], low[:, c], high[:, c], None if exact is None else exact[:, c])
        for c in range(value.shape[1])
    ]


def _exact(point: Point, n_packets: int) -> Floats | None:
    try:
        found = theory.decoding_probability(point.code, point.part, point.workers, received=range(n_packets + 1))
    except NotImplementedError:
        return None
    return np.asarray(found["probability"].values, dtype=np.float64)

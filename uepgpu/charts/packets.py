"""Loss against the number of packets received, for points that were simulated in the count domain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uepgpu import theory
from uepgpu.charts.chart import LOSS, Chart, Floats, Line, NothingToShow, Panel, grid_of, left_out, looks_of, panel_title
from uepgpu.points.point import Point
from uepgpu.results.simulated import Simulated, loss_of

__all__ = ["RECEIVED", "counted_points", "packets_chart"]

RECEIVED = "packets received N"


def packets_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of loss against packets received.

    Raises
    ------
    NothingToShow
        If no point was simulated in the count domain.
    """
    counted, notes = counted_points(simulated)
    works, partitions = grid_of([s.point for s in counted])
    rows = []
    for work in works:
        row: list[Panel | None] = []
        for partition in partitions:
            members = [s for s in counted if s.point.panel == (partition, work)]
            row.append(Panel(panel_title(members[0].point), RECEIVED, LOSS, tuple(map(_line, members))) if members else None)
        rows.append(tuple(row))
    looks = looks_of([s.point for s in simulated], [s.point for s in counted])
    return Chart("packets", title, tuple(rows), looks, notes=notes, whole_x=True)


def counted_points(simulated: Sequence[Simulated]) -> tuple[list[Simulated], tuple[str, ...]]:
    """Return the points that were simulated by the number of packets received, and a note of those that were not.

    Raises
    ------
    NothingToShow
        If there is none.
    """
    counted = [s for s in simulated if s.tally.domain == "count"]
    if not counted:
        raise NothingToShow(
            "no point was simulated by the number of packets received: packets differ in true work or workers in speed, so that "
            'only arrivals by deadline are tallied; sweep with work = "unit" or equal packets'
        )
    missing = left_out([s.point for s in simulated if s.tally.domain != "count"])
    return counted, (f"Left out, simulated by deadline alone: {missing}.",) if missing else ()


def _line(simulated: Simulated) -> Line:
    point, tally = simulated.point, simulated.tally
    found = loss_of(simulated)
    value, low, high = (np.asarray(found[f"normalized_loss{end}"].values, dtype=np.float64) for end in ("", "_low", "_high"))
    return Line(point.series, np.arange(tally.n_packets + 1.0), value, low, high, _exact(point, tally.n_packets))


def _exact(point: Point, n_packets: int) -> Floats | None:
    try:
        found = theory.loss(point.code, point.part, point.workers, received=range(n_packets + 1))
    except NotImplementedError:
        return None
    return np.asarray(found["normalized_loss"].values, dtype=np.float64)

"""Loss against the round of trajectories, at chosen deadlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uepgpu.charts.chart import LOSS, Chart, Line, NothingToShow, Panel, left_out, looks_of, panel_title, spread
from uepgpu.charts.times import chosen_deadlines, lacking, place
from uepgpu.results.curve import exact_loss
from uepgpu.results.simulated import Simulated, every_round

__all__ = ["rounds_chart"]

AXIS = "round, from 0"


def rounds_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of the loss in every round at the deadlines `at`, or at a few of the points'; exact is that of any round.

    Raises
    ------
    NothingToShow
        If no point has rounds.
    ValueError
        If `at` names none of a point's deadlines.
    """
    known = [s for s in simulated if s.point.rounds is not None]
    if not known:
        raise NothingToShow("no point has rounds: sweep workers with states or a trace with rounds = 20, say")
    times = chosen_deadlines(known, at)
    rows = []
    for key in dict.fromkeys(s.point.panel for s in known):
        members = [s for s in known if s.point.panel == key]
        name = panel_title(members[0].point)
        lines = [_lines(s, times) for s in members]
        row: list[Panel | None] = []
        for d, t in enumerate(times):
            mine = tuple(line for of_point in lines if (line := of_point[d]) is not None)
            row.append(Panel(f"t = {t:g}: {name}", AXIS, LOSS, mine) if mine else None)
        rows.append(tuple(row))
    missing = left_out([s.point for s in simulated if s.point.rounds is None])
    notes: tuple[str, ...] = (f"Left out, single rounds: {missing}.",) if missing else ()
    looks = looks_of([s.point for s in simulated], [s.point for s in known])
    chart = Chart("rounds", title, tuple(rows), looks, notes=notes + lacking(known, times), whole_x=True)
    logarithmic = spread(v for line in chart.lines for v in line.seen())
    return Chart("rounds", title, chart.rows, looks, logarithmic=logarithmic, notes=chart.notes, whole_x=True)


def _lines(simulated: Simulated, times: Sequence[float]) -> list[Line | None]:
    """Return the line at each deadline, None where the point does not have it."""
    point = simulated.point
    found = [one.tally.loss(point.part) for one in every_round(simulated)]
    value, low, high = (np.array([f[f"normalized_loss{end}"].values for f in found]) for end in ("", "_low", "_high"))
    exact = exact_loss(point)
    result: list[Line | None] = []
    for t in times:
        d = place(point.deadlines, t)
        if d is None:
            result.append(None)
            continue
        closed = None if exact is None else np.full(len(found), exact[d])
        result.append(Line(point.series, np.arange(float(len(found))), value[:, d], low[:, d], high[:, d], closed))
    return result

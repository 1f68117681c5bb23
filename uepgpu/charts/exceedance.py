"""How often the loss of one realization exceeds x, against x, at chosen deadlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from uepgpu import theory
from uepgpu.charts.chart import Chart, Floats, Line, NothingToShow, Panel, left_out, looks_of, panel_title
from uepgpu.charts.distribution import AXIS, UNKNOWN
from uepgpu.charts.times import chosen_deadlines, lacking, place
from uepgpu.results.setting import in_unit
from uepgpu.results.simulated import Simulated, knows_law, law_of

__all__ = ["exceedance_chart"]


def exceedance_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of Pr[loss > x] at the deadlines `at`, or at a few of the points'.

    Raises
    ------
    NothingToShow
        If no code decodes class by class: a tally of pairs has the mean alone.
    ValueError
        If `at` names none of a point's deadlines.
    """
    known = [s for s in simulated if knows_law(s)]
    if not known:
        raise NothingToShow(UNKNOWN)
    times = chosen_deadlines(known, at)
    rows = []
    for key in dict.fromkeys(s.point.panel for s in known):
        members = [s for s in known if s.point.panel == key]
        name = panel_title(members[0].point)
        row: list[Panel | None] = []
        for t in times:
            lines = tuple(line for s in members if (line := _line(s, t)) is not None)
            when = in_unit(f"t = {t:g}", members[0].point.workers)
            row.append(Panel(f"{when}: {name}", f"x: {AXIS}", "Pr[loss > x]", lines) if lines else None)
        rows.append(tuple(row))
    missing = left_out([s.point for s in simulated if not knows_law(s)])
    unknown = "pairs of sub-products, or means over rounds, do not determine a distribution"
    notes: tuple[str, ...] = (f"Left out, as {unknown}: {missing}.",) if missing else ()
    looks = looks_of([s.point for s in simulated], [s.point for s in known])
    return Chart("exceedance", title, tuple(rows), looks, log_x=True, steps=True, notes=notes + lacking(known, times))


def _line(simulated: Simulated, t: float) -> Line | None:
    """Return the steps of a point: Pr[loss > x] for x from the loss before up to the one at which the mark stands."""
    point, tally = simulated.point, law_of(simulated)
    counted = tally.domain == "count"
    row = 0 if counted else place(point.deadlines, t)
    if row is None:
        return None
    options: dict[str, Any] = {"workers": point.workers, "deadlines": [t]} if counted else {}
    losses = np.asarray(tally.loss_distribution(point.part, **options)["normalized_loss"].values, dtype=np.float64)
    ends = losses[losses > 0]
    # From the greatest loss on none exceeds x, which a logarithmic axis cannot show.
    limits = np.append(0.0, ends)[:-1]
    found = tally.exceedance(point.part, limits, **options)
    value, low, high = (np.asarray(found[name].values[row], dtype=np.float64) for name in ("probability", "low", "high"))
    return Line(point.series, ends, value, low, high, _exact(simulated, limits, t))


def _exact(simulated: Simulated, losses: Floats, t: float) -> Floats | None:
    point = simulated.point
    try:
        found = theory.exceedance(point.code, point.part, point.workers, x=losses, deadlines=[t])
    except NotImplementedError:
        return None
    return np.asarray(found["probability"].values[0], dtype=np.float64)

"""Loss against the number of workers, at chosen deadlines.

A tally of the count domain whose packets are not tied to workers serves every smaller number of workers too
(docs/mathematics.md §4), so one stored point gives a whole line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from uepgpu import theory
from uepgpu.charts.chart import LOSS, Chart, Floats, Line, NothingToShow, Panel, call_for_log_x, panel_title, spread
from uepgpu.charts.times import chosen_deadlines, lacking, place
from uepgpu.results.setting import in_unit
from uepgpu.results.simulated import Simulated, loss_of
from uepgpu.workers import Workers

__all__ = ["line_groups", "workers_chart"]

WORKERS = "number of workers W"
MOST_COUNTS = 16
"""Numbers of workers on a line besides those that were simulated."""

Values = tuple[Floats, Floats, Floats, Floats]
"""Loss, low, high and exact loss by deadline; nan where a point has no such deadline, or no closed form."""


def workers_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of loss against workers at the deadlines `at`, or at a few of the points'.

    Raises
    ------
    NothingToShow
        If no series has two numbers of workers.
    ValueError
        If `at` names none of a point's deadlines.
    """
    times = chosen_deadlines(simulated, at)
    groups = {key: _counts(members) for key, members in line_groups(simulated).items()}
    if all(len(counts) < 2 for counts in groups.values()):
        raise NothingToShow(
            "no series has two numbers of workers: sweep a list of them (count = [12, 15, 30]); a single one serves smaller ones "
            "only where packets are drawn and of equal work"
        )
    rows = []
    numbers = {label: i for i, label in enumerate(dict.fromkeys(s.point.series for s in simulated))}
    looks: dict[str, int] = {}
    for (_, label), members in line_groups(simulated).items():
        looks.setdefault(label, numbers[members[0].point.series])
    for panel in dict.fromkeys(panel for panel, _ in groups):
        lines: list[list[Line]] = [[] for _ in times]
        for (where, label), counts in groups.items():
            if where == panel:
                for mine, line in zip(lines, _lines(label, counts, times), strict=True):
                    mine.extend(line)
        first = next(s.point for s in simulated if s.point.panel == panel)
        when = [in_unit(f"t = {t:g}", first.workers) for t in times]
        row = [Panel(f"{t}: {panel_title(first)}", WORKERS, LOSS, tuple(mine)) for t, mine in zip(when, lines, strict=True)]
        rows.append(tuple(p if p.lines else None for p in row))
    shared = any(len(counts) > len({id(s) for s in counts.values()}) for counts in groups.values())
    note = (
        "Marks of one line may share realizations: a tally serves every smaller number of workers, where packets are exchangeable."
    )
    chart = Chart("workers", title, tuple(rows), looks, notes=((note,) if shared else ()) + lacking(simulated, times))
    seen = [v for line in chart.lines for v in np.where(line.upper_bound, line.high, line.value)]
    log_x = call_for_log_x([w for counts in groups.values() for w in counts])
    return replace(chart, logarithmic=spread(seen), log_x=log_x, whole_x=True)


def line_groups(simulated: Sequence[Simulated]) -> dict[tuple[tuple[str, str], str], list[Simulated]]:
    """Return the points of each line, by panel and label without its number of workers."""
    groups: dict[tuple[tuple[str, str], str], list[Simulated]] = {}
    for s in simulated:
        label = s.point.series.replace(f", W = {s.point.workers.count}", "")
        groups.setdefault((s.point.panel, label), []).append(s)
    result: dict[tuple[tuple[str, str], str], list[Simulated]] = {}
    for (panel, label), members in groups.items():
        if len({s.point.workers.count for s in members}) == len(members):
            result[panel, label] = members
        else:  # Two points with the same number of workers do not make one line.
            result |= {(panel, s.point.series): [s] for s in members}
    return result


def _counts(members: Sequence[Simulated]) -> dict[int, Simulated]:
    """Return which point answers for which number of workers."""
    own = {s.point.workers.count: s for s in members}
    serving = {w: s for w, s in own.items() if s.tally.domain == "count" and not s.tally.tied}
    counts = dict(own)
    if serving:
        # Numbers that span a large range get a logarithmic axis, and even steps on it.
        steps = np.geomspace if spread(own) else np.linspace
        for w in np.unique(np.round(steps(1, max(serving), MOST_COUNTS)).astype(int)).tolist():
            counts.setdefault(w, serving[min(n for n in serving if n >= w)])
    return dict(sorted(counts.items()))


def _lines(label: str, counts: dict[int, Simulated], times: Sequence[float]) -> list[list[Line]]:
    """Return the line at each deadline, or none."""
    found = [_values(s, w, times) for w, s in counts.items()]
    x = np.array(list(counts), dtype=np.float64)
    result: list[list[Line]] = []
    for d in range(len(times)):
        value, low, high, exact = (np.array([f[i][d] for f in found]) for i in range(4))
        there = ~np.isnan(value)
        closed = None if np.isnan(exact[there]).all() else exact[there]
        result.append([Line(label, x[there], value[there], low[there], high[there], closed)] if there.any() else [])
    return result


def _values(simulated: Simulated, count: int, times: Sequence[float]) -> Values:
    point, tally = simulated.point, simulated.tally
    workers = point.workers.first(count)
    columns = ("normalized_loss", "normalized_loss_low", "normalized_loss_high")
    exact = _exact(simulated, workers, times)
    if tally.domain == "count":
        found = loss_of(simulated, workers=workers, deadlines=times)
        value, low, high = (np.asarray(found[name].values, dtype=np.float64) for name in columns)
        return value, low, high, exact
    found = loss_of(simulated)
    at = [place(point.deadlines, t) for t in times]
    value, low, high = (np.array([np.nan if i is None else found[name].values[i] for i in at]) for name in columns)
    return value, low, high, exact


def _exact(simulated: Simulated, workers: Workers, times: Sequence[float]) -> Floats:
    try:
        found = theory.loss(simulated.point.code, simulated.point.part, workers, deadlines=times)
    except NotImplementedError:
        return np.full(len(times), np.nan)
    return np.asarray(found["normalized_loss"].values, dtype=np.float64)

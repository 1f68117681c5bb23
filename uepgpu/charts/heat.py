"""Heat maps: the loss at a deadline over two axes of a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uepgpu.charts.chart import Cells, Chart, NothingToShow, Panel, panel_title, spread
from uepgpu.charts.times import chosen_deadlines
from uepgpu.results.axes import Axis, Place, group_along
from uepgpu.results.best import Question, rank
from uepgpu.results.setting import in_unit
from uepgpu.results.simulated import Simulated

__all__ = ["heat_chart"]


def heat_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float], x: Axis, y: Axis) -> Chart:
    """Return the map of losses over two axes, a panel for each deadline and for points that differ otherwise.

    Places that are within error of the best one of their panel are marked.

    Raises
    ------
    NothingToShow
        If an axis has no two places.
    ValueError
        If `at` names none of the points' deadlines, or the axes are one.
    """
    if x.name == y.name:
        raise ValueError(f"--x and --y must be two axes, got {x.name!r} twice")
    times = chosen_deadlines(simulated, at)
    for option, axis in (("--x", x), ("--y", y)):
        if len(places := {axis.of(s.point) for s in simulated}) < 2:
            only = next(iter(places)).text
            raise NothingToShow(f"all points have one place along {option} {axis.name}, {only}: a grid that varies it has more")
    groups = group_along(simulated, [x, y])
    rows = []
    for (panel, label), members in groups.items():
        if min(len({a.of(s.point) for s in members}) for a in (x, y)) < 2:
            continue
        name = panel_title(members[0].point) if any(panel) else ""
        rows.append(tuple(_panel(members, t, (label, name), x, y) for t in times))
    if not rows:
        raise NothingToShow(f"no points differ in {x.name} and {y.name} alone: a grid over both has such points")
    values = [v for row in rows for p in row if p is not None and p.cells is not None for v in p.cells.value.ravel()]
    return Chart(
        "loss",
        title,
        tuple(rows),
        {},
        logarithmic=spread(values),
        notes=("Framed: the least loss, and what is within error of it.",),
    )


def _panel(members: Sequence[Simulated], t: float, names: tuple[str, str], x: Axis, y: Axis) -> Panel | None:
    try:
        rankings = rank(members, Question("loss", t))
    except ValueError:  # none of them has this deadline
        return None
    answers = [a for r in rankings for a in r.answers]
    best = min(answers, key=lambda a: a.value)
    columns, rows = (_ordered([a.of(s.point) for s in members]) for a in (x, y))
    value, framed = np.full((len(rows), len(columns)), np.nan), np.zeros((len(rows), len(columns)), dtype=np.bool_)
    for answer in answers:
        place = rows.index(y.of(answer.point)), columns.index(x.of(answer.point))
        value[place] = answer.value
        framed[place] = answer is best or answer.within_error(best)
    cells = Cells(tuple(p.text for p in columns), tuple(p.text for p in rows), value, framed)
    label, name = names
    when = in_unit(f"t = {t:g}", members[0].point.workers)
    return Panel(": ".join(filter(None, (f"{label}, {when}", name))), x.symbol, y.symbol, cells=cells)


def _ordered(places: Sequence[Place]) -> list[Place]:
    distinct = list(dict.fromkeys(places))
    return sorted(distinct, key=lambda p: p.number or 0.0) if all(p.number is not None for p in distinct) else distinct

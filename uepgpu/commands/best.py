"""What ``uepgpu best`` does: from a store to the points that answer a question best."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from uepgpu.charts.chart import left_out
from uepgpu.checks import positive
from uepgpu.commands.outcome import Failure, exits, refusing, writing
from uepgpu.console import Table, show
from uepgpu.files import check_file, table_kind
from uepgpu.results.axes import axis
from uepgpu.results.best import Question, rank
from uepgpu.results.conditions import only_where
from uepgpu.results.setting import describe_setting, in_unit
from uepgpu.store.sections import only_section, only_series, read_sections
from uepgpu.text import write_table

if TYPE_CHECKING:
    from uepgpu.results.axes import Axis
    from uepgpu.results.best import Answer, Ranking
    from uepgpu.store.stored import StoredPoint

__all__ = ["COLUMNS", "run_best"]

COLUMNS = (
    *("question", "asked", "rank", "series", "code", "partition", "work", "by", "workers", "omega", "gamma"),
    *("value", "low", "high", "exact", "within_error", "point"),
)
"""Columns of the table that is written: ``question`` is ``loss`` (at the deadline ``asked``) or ``deadline`` (for the normalized
loss ``asked``), ``value`` its answer with the 95 % interval, ``within_error`` whether it is within error of the best one."""
ROUNDING = 1e-9
NOTE = (
    "Simulated, with 95 % intervals (none where nothing is left to chance); exact where there is a closed form. "
    "“within error”: the interval of the difference from the best holds 0. The best of many is a little lucky: check a narrow lead "
    "with another seed."
)


@exits
def run_best(
    store: str,
    *,
    at: float | None,
    loss: float | None,
    by: str | None,
    top: int,
    sweep: str | None,
    series: Sequence[str],
    where: Sequence[str] = (),
    csv: str | None,
    force: bool = False,
) -> int:
    """Print the points of a store, best first, and return the exit code.

    Parameters
    ----------
    store : str
        Its file.
    at, loss : float or None
        Rank by the normalized loss at a deadline, or by the deadline for a normalized loss: one of the two.
    by : str or None
        An axis: the best point for each of its values.
    top : int
        Points to print of each ranking.
    sweep : str or None
        Which of the store's sweeps; None where there is one.
    series : sequence of str
        Patterns of labels; empty for all.
    where : sequence of str
        Conditions that points fulfil, as :func:`uepgpu.results.conditions.only_where` takes them.
    csv : str or None
        File for the whole ranking; ``"-"`` prints it instead of the tables.
    force : bool
        Replace a file that is no earlier ranking.
    """
    if (at is None) == (loss is None):
        raise Failure(
            "best needs --at DEADLINE (the least loss at it) or --loss LOSS (the earliest deadline for it), one of the two"
        )
    with refusing():
        question = (
            Question("loss", positive("--at", at, zero=True)) if loss is None else Question("deadline", positive("--loss", loss))
        )
        along = None if by is None else axis("--by", by)
        output = None if csv in (None, "-") else check_file("--csv", csv, (table_kind(COLUMNS),), force=force, inputs=(store,))
        section = only_section(read_sections(store, sweep=sweep))
        points = only_series(only_where("--where", section.points, where), series)
        rankings = rank(points, question, along)
    asked = (
        f"normalized loss at {in_unit(f't = {question.value:g}', points[0].point.workers)}"
        if loss is None
        else f"deadline for a normalized loss of {question.value:g}"
    )
    if csv == "-":
        ids = {id(p.point): p.id for p in points}
        write_table(sys.stdout, COLUMNS, _rows(rankings, question, ids))
        return 0
    parts = _ranked(rankings, asked, top) if along is None else _by_axis(rankings, asked, along)
    note = f"{describe_setting([p.point for p in points])} {NOTE}"
    show([Table((), title=f"{section.title}: {asked}", note=note), *parts, *_silent(rankings, points)])
    if output is not None:
        text = io.StringIO()
        ids = {id(p.point): p.id for p in points}
        count = write_table(text, COLUMNS, _rows(rankings, question, ids))
        with writing("the ranking", output.path):
            output.write(text.getvalue().encode())
        print(f"{output.path}: {count:,} rows")
    return 0


def _ranked(rankings: Sequence[Ranking], asked: str, top: int) -> Iterator[Table | str]:
    """Yield a table for each ranking, and what it leaves out."""
    header = ("#", "series", "W", asked, "95 % interval", "exact", "behind the best")
    for ranking in rankings:
        rows = [
            (str(i), a.point.series, str(a.point.workers.count), *_cells(a), _behind(a, ranking) if i > 1 else "")
            for i, a in enumerate(ranking.answers[:top], start=1)
        ]
        yield Table(rows, header, title=_title(ranking), text=(1, 6))
        if len(ranking.answers) > top:
            tied = sum(a.within_error(ranking.best) for a in ranking.answers[top:])
            more = f", {tied} of them within error of the best" if tied else ""
            yield f"{len(ranking.answers) - top} more{more}: --top shows them."


def _by_axis(rankings: Sequence[Ranking], asked: str, along: Axis) -> Iterator[Table]:
    """Yield a table for each panel, a row for each value of the axis."""
    header = (along.symbol, "best", "W", asked, "95 % interval", "exact", "runner-up", "within error of the best")
    for panel in dict.fromkeys(r.panel for r in rankings):
        mine = [r for r in rankings if r.panel == panel]
        least = min(mine, key=lambda r: r.best.value)
        rows = []
        for r in mine:
            second = r.runner_up
            runner = "–" if second is None else f"{second.point.series}: {_value(second.value)}"
            mark = " ←" if r is least and len(mine) > 1 and math.isfinite(r.best.value) else ""
            within = "–" if second is None else f"{r.tied} of {len(r.answers) - 1} others" if r.tied else "no other"
            rows.append((r.by, r.best.point.series + mark, str(r.best.point.workers.count), *_cells(r.best), runner, within))
        yield Table(rows, header, title=_title(mine[0]), text=(0, 1, 6, 7))


def _silent(rankings: Sequence[Ranking], points: Sequence[StoredPoint]) -> Iterator[str]:
    """Yield which points have no answer, if there are any."""
    ranked = {id(a.point) for r in rankings for a in r.answers}
    if missing := [p.point for p in points if id(p.point) not in ranked]:
        yield f"Left out, as they were simulated by deadline and do not have this one: {left_out(missing)}."


def _title(ranking: Ranking) -> str:
    partition, work = ranking.panel
    return f"{partition}, {work} work"


def _cells(answer: Answer) -> tuple[str, str, str]:
    # Rounding alone is no width.
    certain = answer.low == answer.high or (math.isfinite(answer.high) and answer.high - answer.low <= ROUNDING * answer.high)
    interval = "–" if certain else f"[{_value(answer.low)}, {_value(answer.high)}]"
    return _value(answer.value), interval, "–" if answer.exact is None else _value(answer.exact)


def _behind(answer: Answer, ranking: Ranking) -> str:
    if answer.within_error(ranking.best):
        return "within error"
    best = ranking.best.value
    return f"{answer.value / best:.3g} times" if best > 0 and math.isfinite(answer.value) else "more"


def _value(x: float) -> str:
    return "never" if math.isinf(x) else "0" if x == 0 else f"{x:.4f}" if x >= 0.01 else f"{x:.2e}"


def _rows(rankings: Sequence[Ranking], question: Question, ids: dict[int, str]) -> Iterator[dict[str, Any]]:
    for ranking in rankings:
        for i, a in enumerate(ranking.answers, start=1):
            point = a.point
            yield {
                "question": question.kind,
                "asked": question.value,
                "rank": i,
                "series": point.series,
                "code": point.code_name,
                "partition": point.partition,
                "work": point.workers.work,
                "by": ranking.by,
                "workers": point.workers.count,
                "omega": point.workers.resolved_omega(point.part.n_subproducts),
                "gamma": " ".join(map(repr, getattr(point.code, "gamma", ()))),
                "value": a.value,
                "low": a.low,
                "high": a.high,
                "exact": "" if a.exact is None else a.exact,
                "within_error": "yes" if i == 1 or a.within_error(ranking.best) else "no",
                "point": ids[id(point)],
            }

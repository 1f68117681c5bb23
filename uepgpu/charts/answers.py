"""The chart of ``uepgpu design``: given codes, what was found instead, and the lower bound, against the deadline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uepgpu.charts.chart import LOSS, Chart, Line, Panel, call_for_log_x, grid_of, panel_title
from uepgpu.charts.looks import COLORS
from uepgpu.results.answers import Answer
from uepgpu.results.setting import describe_setting, time_axis

__all__ = ["answers_chart"]

LABELS = {
    "loss": LOSS,
    "quantile": "quantile of the normalized loss",
    "exceedance": "Pr[normalized loss > x]",
    "debiased": "normalized variance of unbiased estimates",
}
LEAST = 2e-6
"""Bounds fall below what any axis of losses should show."""


def answers_chart(answers: Sequence[Answer], title: str, objective: str) -> Chart:
    """Return the chart of curves: found codes in the colour of the given one, in other dashes.

    Parameters
    ----------
    answers : sequence of Answer
        At least one.
    title : str
    objective : str
    """
    works, partitions = grid_of([a.point for a in answers])
    points = [a.point for a in answers]
    rows: list[tuple[Panel | None, ...]] = []
    time = time_axis(points)
    for work in works:
        row: list[Panel | None] = []
        for partition in partitions:
            members = [a for a in answers if a.panel == (partition, work)]
            lines = tuple(_line(a) for a in members)
            row.append(Panel(panel_title(members[0].point), time, LABELS[objective], lines) if members else None)
        rows.append(tuple(row))
    log_x = call_for_log_x([t for a in answers for t in a.deadlines])
    return Chart("design", title, tuple(rows), _looks(answers), log_x=log_x, notes=(describe_setting(points),))


def _looks(answers: Sequence[Answer]) -> dict[str, int]:
    """Return the look of every label, those of one series in one colour."""
    bases = {label: i for i, label in enumerate(dict.fromkeys(a.label for a in answers if a.what == "given"))}
    for what in ("bound", "repetition", "windows"):  # what belongs to a whole panel
        for answer in (a for a in answers if a.what == what):
            bases.setdefault(answer.label, len(bases))
    dashes = {"given": 0, "gamma": 1, "fixed": 2, "across": 2}
    looks: dict[str, int] = {}
    for answer in answers:
        base = bases[answer.label] if answer.label in bases else bases.get(answer.point.series, len(bases))
        looks.setdefault(answer.label, base % COLORS + COLORS * dashes.get(answer.what, 0))
    return looks


def _line(answer: Answer) -> Line:
    """Return a line; exact values have no marks."""
    shown = np.where(np.isfinite(answer.value) & (answer.value >= LEAST), answer.value, np.nan)
    if answer.exact:
        nothing = np.full(answer.deadlines.size, np.nan)
        return Line(answer.label, answer.deadlines, nothing, nothing, nothing, shown)
    return Line(answer.label, answer.deadlines, answer.value, answer.low, answer.high, None)

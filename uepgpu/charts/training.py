"""Accuracy of trainings against steps or simulated time: a row of panels per paradigm and measure, a column per deadline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from uepgpu.charts.chart import Chart, Line, NothingToShow, Panel
from uepgpu.charts.looks import COLORS
from uepgpu.results.courses import Course
from uepgpu.results.setting import axis_of_time

__all__ = ["ALONG", "drawn_by_train", "training_chart"]

ALONG = ("step", "time")
PARADIGMS = {"rxc": "row-times-column", "cxr": "column-times-row"}
EXACT = "exact"


def training_chart(
    courses: Sequence[Course], title: str, along: str = "step", measures: Sequence[str] = ("train", "test")
) -> Chart:
    """Return the chart of accuracies.

    Parameters
    ----------
    courses : sequence of Course
    title : str
    along : "step" or "time"
        Against time without those that have none: centralized ones, and deadline 0.
    measures : sequence of "train", "test"

    Raises
    ------
    NothingToShow
        If no course has such a curve.
    """
    shown = [c for c in courses if _has(c, along)]
    if not shown:
        raise NothingToShow(f"no training has a curve against {'steps' if along == 'step' else 'time'}")
    paradigms = [p for p in PARADIGMS if any(c.paradigm == p for c in shown)] or [EXACT]
    deadlines = sorted({c.deadline for c in shown if np.isfinite(c.deadline)}) or [np.inf]
    label = "step" if along == "step" else axis_of_time("simulated time", None)
    rows = []
    for paradigm in paradigms:
        for measure in measures:
            row = []
            for deadline in deadlines:
                members = [c for c in shown if c.paradigm in (paradigm, "any") and c.deadline in (deadline, np.inf)]
                lines = tuple(_line(c, measure, along) for c in members)
                until = f", deadline {deadline:g}" if np.isfinite(deadline) else ""
                name = f"{PARADIGMS.get(paradigm, EXACT)}{until}"
                row.append(Panel(name, label, f"{measure} accuracy", lines, y_range=(0.0, 1.0)) if lines else None)
            rows.append(tuple(row))
    counts = sorted({c.replicas for c in shown})
    replicas = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    note = f"Mean of {replicas} replica{'' if counts == [1] else 's'}."
    looks = _looks(shown)
    return Chart("training", title, tuple(rows), looks, True, False, along == "time", (note,), bands=True)


def _has(course: Course, along: str) -> bool:
    """Return whether a course has a curve along an axis: waiting is exact, so that only its time is its own."""
    if along == "step":
        return "wait" not in course.code
    return bool(np.any(course.time > 0))


def _line(course: Course, measure: str, along: str) -> Line:
    x = course.step if along == "step" else course.time
    mean, low, high = course.accuracy[measure]
    known = np.isfinite(mean) & np.isfinite(x) & ((x > 0) | (along == "step"))
    return Line(course.label, x[known], mean[known], low[known], high[known], None)


def _looks(courses: Sequence[Course]) -> dict[str, int]:
    """Return the look of every label: those of one code have one colour, and dashes by what its packets cost."""
    colors = {code: i for i, code in enumerate(dict.fromkeys(c.code.split(",")[0] for c in courses))}
    looks: dict[str, int] = {}
    for course in courses:
        dash = 2 if "wait" in course.code else int(course.work == "true")
        number = colors[course.code.split(",")[0]] % COLORS + COLORS * dash
        while course.label not in looks and number in looks.values():
            number += COLORS
        looks.setdefault(course.label, number)
    return looks


def drawn_by_train(courses: Sequence[Course]) -> dict[str, tuple[str, Callable[[Course], bool], str, tuple[str, ...]]]:
    """Return the charts that ``uepgpu train`` draws, by name: title, who is in it, along what, and which accuracies."""
    works = [w for w in ("unit", "true") if any(c.work == w for c in courses)]
    cheapest = (works[0] if works else "any", "any")

    def plain(c: Course) -> bool:
        return "wait" not in c.code and "-" not in c.code and c.work in cheapest

    def clocked(c: Course) -> bool:
        return c.work in cheapest if "wait" in c.code else plain(c)

    def costs(c: Course) -> bool:
        return "wait" not in c.code and c.code not in ("centralized", "mds")

    found: dict[str, tuple[str, Callable[[Course], bool], str, tuple[str, ...]]] = {
        "steps": ("accuracy against steps", plain, "step", ("train", "test")),
        "time": ("accuracy against simulated time", clocked, "time", ("train", "test")),
    }
    if len(works) > 1 or any("-" in c.code for c in courses):
        found["cost"] = ("packet cost and ways to code", costs, "step", ("test",))
    return found

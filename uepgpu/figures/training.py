"""The figures of a run: accuracy against steps and against simulated time, and what packet cost and coding choices change."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from uepgpu.figures.file import to_bytes
from uepgpu.figures.style import LINES, OKABE_ITO
from uepgpu.results.setting import axis_of_time
from uepgpu.train.results import Series, accuracy_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["figures"]

COLORS = {
    "centralized": OKABE_ITO[2],
    "uncoded": OKABE_ITO[5],
    "repetition": OKABE_ITO[4],
    "repetition-any-late": OKABE_ITO[4],
    "now": OKABE_ITO[0],
    "ew": OKABE_ITO[1],
    "mds": OKABE_ITO[3],
    "now-factored": OKABE_ITO[6],
    "ew-factored": OKABE_ITO[2],
    "ew-nested": OKABE_ITO[3],
}
SOLID, DASHED, DASHDOT = LINES
CHARACTERS_PER_INCH = 12
"""Fewer characters than fit in an inch of a title."""
DOTS_PER_INCH = 90
"""Resolution; sixteen panels with bands make large files."""

PARADIGMS = {"rxc": "row-times-column", "cxr": "column-times-row", "any": ""}
TIME, STEP = axis_of_time("simulated time", None), "step"


def _color(series: Series) -> str:
    return COLORS[series.code.split(",")[0]]


def _draw(axes: Axes, series: Series, accuracy: str, against: str, line: tuple[float, tuple[float, ...]]) -> None:
    values = getattr(series, accuracy)
    mean, low, high = accuracy_band(values)
    x = series.steps.astype(np.float64) if against == STEP else series.time.mean(axis=1)
    known = np.isfinite(mean) & np.isfinite(x) & ((x > 0) | (against == STEP))
    axes.plot(x[known], mean[known], color=_color(series), linestyle=line, linewidth=1.3)
    axes.fill_between(x[known], low[known], high[known], color=_color(series), alpha=0.2, linewidth=0)


def _decorate(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    axes.set_ylim(0, 1)
    axes.set_title(title, fontsize=8.5)
    axes.set_xlabel(xlabel, fontsize=8)
    axes.set_ylabel(ylabel, fontsize=8)
    axes.tick_params(labelsize=7.5)
    axes.grid(visible=True, color="0.88", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _grid(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    figure = Figure(figsize=(2.4 * columns + 2.0, 2.0 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in panels]


def _legend(figure: Figure, labels: Sequence[tuple[str, str, tuple[float, tuple[float, ...]]]], title: str) -> None:
    handles = [Line2D([], [], color=color, linestyle=line, linewidth=1.5, label=label) for label, color, line in labels]
    figure.legend(handles=handles, loc="outside right center", fontsize=8, frameon=False, handlelength=2.6)
    figure.suptitle(textwrap.fill(title, int(figure.get_figwidth() * CHARACTERS_PER_INCH)), fontsize=10, x=0.01, ha="left")


Chosen = Callable[[Series], "tuple[float, tuple[float, ...]] | None"]


def _panels(series: Sequence[Series], title: str, measures: Sequence[str], against: str, chosen: Chosen) -> bytes | None:
    """Draw paradigms × measures by deadlines; `chosen` gives the line of a series that belongs, None for others."""
    mine = [(s, line) for s in series if (line := chosen(s)) is not None]
    paradigms = [p for p in PARADIGMS if p != "any" and any(s.paradigm == p for s, _ in mine)] or ["any"]
    deadlines = sorted({s.deadline for s, _ in mine if np.isfinite(s.deadline)}) or [float("inf")]
    rows = [(p, m) for p in paradigms for m in measures]
    if not mine:
        return None
    figure, grid = _grid(len(rows), len(deadlines))
    labels: dict[str, tuple[str, tuple[float, tuple[float, ...]]]] = {}
    for panels, (paradigm, measure) in zip(grid, rows, strict=True):
        for axes, deadline in zip(panels, deadlines, strict=True):
            for s, line in mine:
                if s.paradigm in (paradigm, "any") and s.deadline in (deadline, float("inf")):
                    _draw(axes, s, measure, against, line)
                    cost = "" if s.work == "any" else f", {s.work} cost"
                    labels.setdefault(s.code + cost, (_color(s), line))
            name = PARADIGMS[paradigm] or "exact"
            until = f", deadline {deadline:g}" if np.isfinite(deadline) else ""
            _decorate(axes, f"{name}{until}", against, f"{measure} accuracy" if axes is panels[0] else "")
            if against == TIME:
                axes.set_xscale("log")
                axes.xaxis.set_minor_formatter(NullFormatter())
    counts = sorted({s.test.shape[1] for s, _ in mine})
    replicas = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    _legend(figure, [(label, *style) for label, style in labels.items()], f"{title}, mean of {replicas} replicas with 95 % band")
    return to_bytes(figure, "png", DOTS_PER_INCH)


def figures(series: Sequence[Series], name: str) -> dict[str, bytes]:
    """Return the figures by file name; bands are 95 % confidence intervals of the mean over replicas."""
    works = [w for w in ("unit", "true") if any(s.work == w for s in series)]
    cheapest = works[0] if works else "any"

    def plain(s: Series) -> tuple[float, tuple[float, ...]] | None:
        if "wait" in s.code or "-" in s.code or s.work not in (cheapest, "any"):
            return None
        return DASHED if s.code in ("centralized", "repetition") else SOLID

    def clocked(s: Series) -> tuple[float, tuple[float, ...]] | None:
        if "wait" in s.code:
            return DASHDOT if s.work in (cheapest, "any") else None
        # Neither has a time that a logarithmic axis could show.
        return None if s.code == "centralized" or s.deadline == 0 else plain(s)

    def costs(s: Series) -> tuple[float, tuple[float, ...]] | None:
        if "wait" in s.code or s.code in ("centralized", "mds"):
            return None
        if s.code == "repetition-any-late":
            return DASHDOT
        return DASHED if s.work not in (cheapest, "any") or s.code == "repetition" else SOLID

    every: dict[str, tuple[str, Sequence[str], str, Chosen]] = {
        "accuracy-steps.png": (f"{name}: accuracy against steps", ("train", "test"), STEP, plain),
        "accuracy-time.png": (f"{name}: accuracy against simulated time", ("train", "test"), TIME, clocked),
    }
    if len(works) > 1 or any("-" in s.code for s in series):
        every["accuracy-cost.png"] = (f"{name}: packet cost and ways to code", ("test",), STEP, costs)
    drawn = {file: _panels(series, *what) for file, what in every.items()}
    return {file: png for file, png in drawn.items() if png is not None}

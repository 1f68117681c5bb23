"""More series than can be told apart: the best are named, the others are shown in the background."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uepgpu.charts.chart import Chart, Line, Panel
from uepgpu.charts.looks import MOST_LOOKS

__all__ = ["MOST_NAMED", "emphasized"]

Floats = NDArray[np.float64]

MOST_NAMED = 12
"""Series that are named where not all can be."""
FLOOR = 1e-12
"""Losses below this are equally good."""


def emphasized(chart: Chart) -> Chart:
    """Return the chart with a few series named, if it has more than can be told apart, and a note that says which.

    Named are those that are best somewhere, the most often best first, then those that are nearest to the best on average.
    """
    labels = {line.label for line in chart.lines}
    if len(labels) <= MOST_LOOKS:
        return chart
    wins: Counter[str] = Counter()
    behind: dict[str, list[float]] = defaultdict(list)
    for panel in chart.panels:
        for scores in _scores(panel, chart).values():
            best = min(scores.values())
            if best < max(scores.values()):  # not where all are alike, as at t = 0
                wins.update([next(label for label, score in scores.items() if score == best)])
            for label, score in scores.items():
                behind[label].append(score - best)
    order = sorted(chart.looks, key=lambda label: (-wins[label], float(np.mean(behind[label])) if behind[label] else np.inf))
    named = set(order[:MOST_NAMED])
    muted = frozenset(labels - named)
    looks = {label: i for i, label in enumerate(label for label in chart.looks if label in named)}
    note = (
        f"Named are {len(looks)} of {len(labels)} series: those that are best somewhere, and the nearest to them on average; "
        "the others are grey."
    )
    return replace(chart, looks=looks, muted=muted, notes=(*chart.notes, note))


def _scores(panel: Panel, chart: Chart) -> dict[float, dict[str, float]]:
    """Return by position how bad every series is: on the scale of the axis."""
    result: dict[float, dict[str, float]] = defaultdict(dict)
    for line in panel.lines:
        value = _value(line)
        score = -value if chart.probability else np.log(np.maximum(value, FLOOR)) if chart.logarithmic else value
        for x, s in zip(line.x.tolist(), score.tolist(), strict=True):
            result[x][line.label] = s
    return result


def _value(line: Line) -> Floats:
    """Return the exact values, or the estimates, bounds where nothing was observed."""
    estimate = np.where(line.upper_bound, line.high, line.value)
    return estimate if line.exact is None else np.where(np.isnan(line.exact), estimate, line.exact)

"""What a reader asks of a chart beyond its kind: which panels, which names in which order, title and scales."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from uepgpu.charts.chart import Chart, Line, Panel

__all__ = ["Arrangement", "arranged"]

Scale = Literal["linear", "sqrt", "log"]


@dataclass(frozen=True)
class Arrangement:
    """How a chart is shown.

    Attributes
    ----------
    panels : tuple of int
        Which, counted from 1 row by row, in that order; empty for all in their places.
    order : tuple of str
        Patterns of labels, first in the legend first; what fits none follows.
    names : dict of str to str
        Other names of series, by label.
    title : str or None
        Empty for none; None for the chart's own.
    x_scale, y_scale : "linear", "sqrt", "log" or None
        None for what suits the values.
    x_label, y_label : str or None
        What stands beside the axes of every panel; None for the panels' own.
    """

    panels: tuple[int, ...] = ()
    order: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    title: str | None = None
    x_scale: Scale | None = None
    y_scale: Scale | None = None
    x_label: str | None = None
    y_label: str | None = None


def arranged(chart: Chart, wanted: Arrangement) -> Chart:
    """Return the chart as it is wanted.

    Raises
    ------
    ValueError
        If there is no such panel or series, two series would have one name, or an axis has no scale to choose.
    """
    chart = _scaled(_panels(chart, wanted.panels), wanted)
    looks = {label: chart.looks[label] for label in sorted(chart.looks, key=lambda label: _place(label, wanted.order))}
    for label in wanted.names:
        if label not in looks:
            raise ValueError(f"there is no series {label!r} to rename; there are {', '.join(list(looks)[:20])}")
    named = {label: wanted.names.get(label, label) for label in looks}
    if len(set(named.values())) < len(named):
        raise ValueError(f"two series would have one name: {', '.join(sorted(wanted.names.values()))}")
    chart = replace(
        chart,
        rows=tuple(tuple(None if panel is None else _renamed(panel, named, wanted) for panel in row) for row in chart.rows),
        looks={named[label]: number for label, number in looks.items()},
        muted=frozenset(named.get(label, label) for label in chart.muted),
    )
    return chart if wanted.title is None else replace(chart, title=wanted.title)


def _panels(chart: Chart, numbers: Sequence[int]) -> Chart:
    if not numbers:
        return chart
    every = chart.panels
    for number in numbers:
        if not 1 <= number <= len(every):
            raise ValueError(f"panel must be from 1 to {len(every)}, got {number}")
    return replace(chart, rows=(tuple(every[number - 1] for number in numbers),))


def _scaled(chart: Chart, wanted: Arrangement) -> Chart:
    if wanted.x_scale is None and wanted.y_scale is None:
        return chart
    if any(p.cells is not None for p in chart.panels):
        raise ValueError("a heat map has no scales to choose")
    boxes = any(p.boxes for p in chart.panels)
    values, places = (wanted.x_scale, wanted.y_scale) if boxes else (wanted.y_scale, wanted.x_scale)
    if places is not None and (boxes or any(p.ticks for p in chart.panels)):
        raise ValueError("an axis without numbers has no scale")
    if places == "log" and not chart.steps:
        chart = replace(chart, rows=tuple(tuple(panel and _after_zero(panel) for panel in row) for row in chart.rows))
    return replace(
        chart,
        logarithmic=chart.logarithmic if values is None else values == "log",
        log_x=chart.log_x if places is None else places == "log",
    )


def _after_zero(panel: Panel) -> Panel:
    """Return the panel without what a logarithmic x axis cannot show."""
    lines = []
    for line in panel.lines:
        seen = line.x > 0
        exact = None if line.exact is None else line.exact[seen]
        lines.append(Line(line.label, line.x[seen], line.value[seen], line.low[seen], line.high[seen], exact))
    return replace(panel, lines=tuple(lines))


def _place(label: str, order: Sequence[str]) -> int:
    """Return the number of the first pattern that is the label, or that fits it and is no other label."""
    fits = [i for i, pattern in enumerate(order) if pattern == label]
    fits = fits or [i for i, pattern in enumerate(order) if fnmatch.fnmatchcase(label, pattern)]
    return fits[0] if fits else len(order)


def _renamed(panel: Panel, named: dict[str, str], wanted: Arrangement) -> Panel:
    return replace(
        panel,
        x_label=panel.x_label if wanted.x_label is None else wanted.x_label,
        y_label=panel.y_label if wanted.y_label is None else wanted.y_label,
        lines=tuple(replace(line, label=named.get(line.label, line.label)) for line in panel.lines),
        boxes=tuple(replace(box, label=named.get(box.label, box.label)) for box in panel.boxes),
    )

"""The chart of what stores hold, asked for by options or from Python: which points, at which deadlines."""

from __future__ import annotations

from collections.abc import Sequence

from uepgpu.charts.chart import Chart
from uepgpu.charts.kinds import build_chart, times_shown, too_many
from uepgpu.checks import shown
from uepgpu.results.axes import Axis
from uepgpu.results.conditions import only_where
from uepgpu.store.sections import Section, only_series

__all__ = ["stored_chart"]


def stored_chart(
    kind: str,
    section: Section,
    *,
    series: Sequence[str],
    where: Sequence[str],
    at: Sequence[float],
    x: Axis | None,
    y: Axis | None,
    bound: bool,
    dash: str = "",
) -> Chart:
    """Return a chart of the points of a section that are asked for.

    Parameters
    ----------
    kind : str
        One of :data:`uepgpu.charts.KINDS`.
    section : Section
    series, where : sequence of str
        Patterns of labels and conditions on places; empty for all.
    at : sequence of float
        Deadlines, or numbers of packets; empty for those that the sweep shows, or a few.
    x, y, bound
        As for :func:`uepgpu.charts.build_chart`.
    dash : str
        What stands before the names of options.

    Raises
    ------
    ValueError
        If nothing fits, or the kind does not show what is asked for.
    """
    points = only_series(only_where(f"{dash}where", section.points, where), series)
    if kind == "distribution" and x is None and (reason := too_many(kind, points)):  # of many lines the best are named
        label = shown(points[0].point.series)
        how = f"with {dash}series, for example {dash}series {label}" if dash else f"by series=, for example series={label}"
        raise ValueError(f"{reason}; choose some {how}")
    return build_chart(kind, points, section.title, times_shown(kind, at, x, points, section.sweep.show), x, y, bound=bound)

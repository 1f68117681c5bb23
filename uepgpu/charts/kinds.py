"""The kinds of charts, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from uepgpu.charts.along import along_chart
from uepgpu.charts.chart import Chart, NothingToShow
from uepgpu.charts.distribution import distribution_chart
from uepgpu.charts.exceedance import exceedance_chart
from uepgpu.charts.heat import heat_chart
from uepgpu.charts.looks import MOST_LOOKS
from uepgpu.charts.loss import BOUND, chart_of_curves, loss_chart
from uepgpu.charts.packets import packets_chart
from uepgpu.charts.probability import decoding_chart, probability_chart
from uepgpu.charts.rounds import rounds_chart
from uepgpu.charts.times import preferred
from uepgpu.charts.workers import line_groups, workers_chart
from uepgpu.results.axes import Axis
from uepgpu.results.curve import curve_of
from uepgpu.results.setting import describe_setting
from uepgpu.results.simulated import Simulated, knows_law

__all__ = ["HEADINGS", "KINDS", "build_chart", "times_shown", "too_many"]

OF_ALL = ("loss", "packets", "probability", "decoding")
"""Kinds that show all deadlines, or numbers of packets, along their x axis."""

MOST_BOXES = 60
"""In a distribution, labels stand beside the boxes, so the number of series is limited by space only."""

KINDS: dict[str, Callable[[Sequence[Simulated], str, Sequence[float]], Chart]] = {
    "loss": loss_chart,
    "packets": packets_chart,
    "workers": workers_chart,
    "probability": probability_chart,
    "decoding": decoding_chart,
    "distribution": distribution_chart,
    "exceedance": exceedance_chart,
    "rounds": rounds_chart,
}
HEADINGS = {
    "loss": "Loss against deadline",
    "packets": "Loss against packets received",
    "workers": "Loss against number of workers",
    "probability": "Decoding probability by class",
    "decoding": "Decoding probability by class against packets received",
    "distribution": "Distribution of the loss of one realization",
    "exceedance": "How often the loss of one realization exceeds a value",
    "rounds": "Loss against round",
}


def build_chart(
    kind: str,
    simulated: Sequence[Simulated],
    title: str,
    at: Sequence[float] = (),
    x: Axis | None = None,
    y: Axis | None = None,
    *,
    bound: bool = False,
) -> Chart:
    """Return a chart of points.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    simulated : sequence of points with tallies
        At least one; no two of one panel with one label.
    title : str
    at : sequence of float
        Deadlines that charts of a few deadlines show; default: a few.
    x : Axis, optional
        An axis of the grid on the x axis.
    y : Axis, optional
        A second one: a heat map of losses over both.
    bound : bool
        With the lower bound of the loss, against the deadline.

    Raises
    ------
    NothingToShow
        If no point has data for this kind.
    ValueError
        If `at` is none of the points' deadlines, or the kind has an x axis of its own.

    Examples
    --------
    >>> from uepgpu.sweep.run import run_points
    >>> from uepgpu.sweep.spec import read_spec
    >>> outcome = run_points(read_spec("paper", realizations=100).points[:3], backend="numpy")
    >>> chart = build_chart("packets", outcome.results, "first three")
    >>> list(chart.looks), [panel.x_label for panel in chart.panels]
    (['NOW', 'EW'], ['packets received N', 'packets received N'])
    """
    if bound:
        if kind != "loss" or x is not None or y is not None:
            raise ValueError(f"--bound is for losses against the deadline, --kind loss without --x, got --kind {kind}")
        chart = chart_of_curves([curve_of(s) for s in simulated], title, bound=True)
        if BOUND not in chart.looks:
            raise NothingToShow(
                "no panel has one lower bound: the products or workers of its series differ; choose some with --series"
            )
        return chart
    if y is not None:
        if kind != "loss" or x is None:
            raise ValueError(f"--y makes a heat map of losses, which needs --x and --kind loss, got --kind {kind}")
        return _with_setting(heat_chart(simulated, title, at, x, y), simulated)
    chart = KINDS[kind](simulated, title, at) if x is None else along_chart(kind, simulated, title, at, x)
    return chart if kind == "loss" and x is None else _with_setting(chart, simulated)


def times_shown(kind: str, at: Sequence[float], x: object, points: Sequence[Simulated], show: Sequence[float]) -> tuple[float, ...]:
    """Return the deadlines, or numbers of packets, of a chart of a few of them: those asked for, or what a sweep wants shown.

    Raises
    ------
    ValueError
        If some are asked for of a kind that shows them all.
    """
    if at and x is None and kind in OF_ALL:
        few = ", ".join(k for k in KINDS if k not in OF_ALL)
        raise ValueError(f"--at is for kinds {few}, and for --x: {kind} shows all, got {', '.join(f'{t:g}' for t in at)}")
    return tuple(at) or (() if kind in ("packets", "decoding") else preferred(points, show))


def _with_setting(chart: Chart, simulated: Sequence[Simulated]) -> Chart:
    """Return a chart whose first note says what its points have in common."""
    return replace(chart, notes=(describe_setting([s.point for s in simulated]), *chart.notes))


def most_series(kind: str, simulated: Sequence[Simulated]) -> int:
    """Return how many series the fullest panel of a chart would have, without building it."""
    if kind == "workers":
        return max(Counter(panel for panel, _ in line_groups(simulated)).values(), default=0)
    if kind in ("packets", "decoding"):
        simulated = [s for s in simulated if s.tally.domain == "count"]
    if kind in ("distribution", "exceedance"):
        simulated = [s for s in simulated if knows_law(s)]
    if kind == "rounds":
        simulated = [s for s in simulated if s.point.rounds is not None]
    return max(Counter(s.point.panel for s in simulated).values(), default=0)


def too_many(kind: str, points: Sequence[Simulated]) -> str | None:
    """Return why the series of a chart of these points could not be told apart, or None."""
    most, limit = most_series(kind, points), MOST_BOXES if kind == "distribution" else MOST_LOOKS
    return f"{most} series in one panel are more than the {limit} that can be told apart" if most > limit else None

"""The kinds of charts, by the names that people call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uepgpu.sweep.charts.chart import Chart, Simulated
from uepgpu.sweep.charts.distribution import distribution_chart
from uepgpu.sweep.charts.loss import loss_chart
from uepgpu.sweep.charts.packets import packets_chart
from uepgpu.sweep.charts.probability import probability_chart
from uepgpu.sweep.charts.workers import workers_chart

__all__ = ["HEADINGS", "KINDS", "build_chart"]

KINDS: dict[str, Callable[[Sequence[Simulated], str, Sequence[float]], Chart]] = {
    "loss": loss_chart,
    "packets": packets_chart,
    "workers": workers_chart,
    "probability": probability_chart,
    "distribution": distribution_chart,
}
HEADINGS = {
    "loss": "Loss against deadline",
    "packets": "Loss against packets received",
    "workers": "Loss against number of workers",
    "probability": "Decoding probability by class",
    "distribution": "Distribution of the loss of one realization",
}


def build_chart(kind: str, simulated: Sequence[Simulated], title: str, at: Sequence[float] = ()) -> Chart:
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

    Raises
    ------
    NothingToShow
        If no point has anything for this kind.
    ValueError
        If `at` is none of the points' deadlines.

    Examples
    --------
    >>> from uepgpu.sweep.run import run_points
    >>> from uepgpu.sweep.spec import read_spec
    >>> outcome = run_points(read_spec("paper", realizations=100).points[:3], backend="numpy")
    >>> chart = build_chart("packets", outcome.results, "first three")
    >>> list(chart.looks), [panel.x_label for panel in chart.panels]
    (['NOW', 'EW'], ['packets received N', 'packets received N'])
    """
    return KINDS[kind](simulated, title, at)

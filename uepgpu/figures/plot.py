"""Figures from Python: a chart of what a sweep or a store holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from uepgpu.charts import KINDS, build_chart
from uepgpu.charts.kinds import too_many
from uepgpu.charts.times import preferred
from uepgpu.checks import choice, real_array, shown
from uepgpu.results.axes import axis
from uepgpu.results.opened import Results, chosen, in_words_of_python
from uepgpu.store.sections import only_series

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = ["plot"]


def plot(
    results: Results | str | os.PathLike[str],
    kind: str = "loss",
    *,
    sweep: str | None = None,
    series: str | Sequence[str] = (),
    at: ArrayLike = (),
    x: str | None = None,
    y: str | None = None,
    bound: bool = False,
    title: str | None = None,
) -> Figure:
    """Return a figure of what was simulated: marks with 95 % intervals, exact values as lines.

    Parameters
    ----------
    results : Results or path
        What :func:`uepgpu.run_sweep` or :func:`uepgpu.open_store` returned, or the file of a store.
    kind : str
        ``"loss"`` against the deadline, ``"packets"`` (loss against packets received), ``"workers"`` (against their number),
        ``"probability"`` (of decoding, by class), ``"distribution"`` of the loss of one realization, ``"exceedance"`` of it.
    sweep : str, optional
        Which sweep of a store that has several.
    series : str or sequence of str
        Labels, with ``*`` and ``?`` as wildcards; empty for all.
    at : array_like of float
        Deadlines of charts of a few deadlines. Default: those that the specification shows, or a few.
    x, y : str, optional
        Axes of the grid (``"gamma"``, ``"workers"``, ``"omega"``, …): one on the x axis, or both for a heat map of losses.
    bound : bool
        Show the lower bound of the loss too.
    title : str, optional
        Default: that of the specification.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook shows it; ``figure.savefig("loss.pdf")`` writes it.

    Raises
    ------
    ValueError
        If there is nothing to show, or an argument is none of what is allowed.

    Examples
    --------
    >>> import uepgpu as uep
    >>> figure = uep.plot(uep.run_sweep("paper", realizations=1000), series=["NOW", "EW"])
    >>> [axes.get_title() for axes in figure.axes]
    ['row-times-column (rxc), unit work', 'column-times-row (cxr), unit work']

    References
    ----------
    docs/reports.md.
    """
    from uepgpu.figures.paint import draw_chart

    found = chosen(results)
    choice("kind", kind, tuple(KINDS))
    axes = [None if name is None else axis(argument, name) for argument, name in (("x", x), ("y", y))]
    times = tuple(real_array("at", at).ravel().tolist())
    with in_words_of_python():
        section = found.only(sweep)
        points = only_series(section.points, [series] if isinstance(series, str) else list(series))
        if kind == "distribution" and x is None and (reason := too_many(kind, points)):
            raise ValueError(f"{reason}; choose some by series=, for example series={shown(points[0].point.series)}")
        times = times or (() if kind == "packets" else preferred(points, section.sweep.show))
        chart = build_chart(kind, points, section.title if title is None else title, times, *axes, bound=bound)
    return draw_chart(chart)

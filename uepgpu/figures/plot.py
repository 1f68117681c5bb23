"""Figures from Python: a chart of what a sweep or a store holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from uepgpu.charts import KINDS, Chart
from uepgpu.charts.arrange import Arrangement, arranged
from uepgpu.charts.curves import CURVES, Asked, Curves, curves_chart
from uepgpu.charts.stored import stored_chart
from uepgpu.checks import choice, real_array, shown
from uepgpu.figures.layout import layout_of
from uepgpu.results.axes import axis
from uepgpu.results.opened import Results, chosen_all, in_words_of_python
from uepgpu.results.studies import StudyResults
from uepgpu.store.sections import joined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = ["plot"]


def plot(
    results: Results | Curves | Sequence[Results | str | os.PathLike[str]],
    kind: str | None = None,
    *,
    sweep: str | None = None,
    series: str | Sequence[str] = (),
    where: str | Sequence[str] = (),
    at: ArrayLike = (),
    x: str | None = None,
    y: str | None = None,
    bound: bool = False,
    title: str | None = None,
    panels: int | Sequence[int] = (),
    names: Mapping[str, str] | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
    x_scale: Literal["linear", "sqrt", "log"] | None = None,
    y_scale: Literal["linear", "sqrt", "log"] | None = None,
    x_limits: tuple[float, float] | None = None,
    y_limits: tuple[float, float] | None = None,
    width: float | str | None = None,
    height: float | str | None = None,
    font: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Return a figure of what was simulated: marks with 95 % intervals, exact values as lines.

    Parameters
    ----------
    results : Results, StudyResults, mapping or path
        What :func:`uepgpu.run_sweep` or :func:`uepgpu.open_store` returned, or the file of a store; or several of them, whose
        series are shown together. Of descents what :func:`uepgpu.run_study` returned, or the ``table.csv`` that ``uepgpu sweep``
        wrote, or labels with what :func:`uepgpu.gradient_coding.descend` returned; of trainings the ``curves.csv`` that
        ``uepgpu train`` wrote.
    kind : str
        Of stores ``"loss"`` against the deadline (their default), ``"packets"`` (loss against packets received), ``"workers"``
        (against their number), ``"probability"`` (of decoding, by class), ``"decoding"`` (that, against packets received),
        ``"distribution"`` of the loss of one realization, ``"exceedance"`` of it, ``"rounds"`` (loss against the round of
        trajectories). ``"descent"``: error of gradient descent, over iterations and over time. ``"training"``: accuracy against
        steps, or against simulated time with ``x="time"``.
    sweep : str, optional
        Which sweep of a store that has several.
    series : str or sequence of str
        Labels, with ``*`` and ``?`` as wildcards, in the order of the legend; empty for all.
    where : str or sequence of str
        Conditions that points fulfil: an axis of the grid, one of ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, and a value, such as
        ``"workers>=20"``, ``"code=ew,now"`` or ``"gamma=0.4/*"``.
    at : array_like of float
        Deadlines of charts of a few deadlines. Default: those that the specification shows, or a few.
    x, y : str, optional
        Axes of the grid (``"gamma"``, ``"workers"``, ``"omega"``, …): one on the x axis, or both for a heat map of losses.
    bound : bool
        Show the lower bound of the loss too.
    title : str, optional
        Default: that of the specification; empty for none.
    panels : int or sequence of int
        Which panels, counted from 1 row by row; empty for all.
    names : dict of str to str, optional
        Other names of series, by label.
    x_label, y_label : str, optional
        What stands beside the axes.
    x_scale, y_scale : str, optional
        ``"linear"``, ``"sqrt"`` or ``"log"``. Default: what suits the values.
    x_limits, y_limits : tuple of float, optional
        Ends of the axes.
    width, height : float or str, optional
        Inches, or a length such as ``"88mm"``; a width also ``"column"``, 3.5 inches, or ``"page"``, 7.16. With a width, panels
        that would be too narrow stand one below the other, and the legend stands below them.
    font : float, optional
        Points of all text. Default: sizes of its parts, or 8 if there is a width.
    ax : matplotlib.axes.Axes, optional
        Axes of your own to draw one panel into, with its legend, instead of a figure; without title and notes.

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
    >>> figure = uep.plot(uep.run_sweep("paper", realizations=1000), width="column", panels=[1], title="")
    >>> len(figure.axes), float(figure.get_figwidth())
    (1, 3.5)

    References
    ----------
    docs/reports.md.
    """
    from uepgpu.figures.paint import draw_chart, draw_panel

    kind = kind or ("descent" if isinstance(results, StudyResults | Mapping) else "loss")
    choice("kind", kind, (*KINDS, *CURVES))
    if ax is not None and (width is not None or height is not None):
        raise ValueError("width and height are those of a new figure, ax has its own")
    for name, scale in (("x_scale", x_scale), ("y_scale", y_scale)):
        if scale is not None:
            choice(name, scale, ("linear", "sqrt", "log"))
    patterns, conditions = _texts("series", series), _texts("where", where)
    chosen = (panels,) if isinstance(panels, int) else tuple(panels)
    arrangement = Arrangement(chosen, patterns, dict(names or {}), title, x_scale, y_scale, x_label, y_label)
    layout = layout_of(width, height, font, x_limits, y_limits, (x_scale, y_scale))
    with in_words_of_python():
        if kind in CURVES:
            asked = Asked("", {"sweep": sweep, "where": conditions, "at": np.size(at), "y": y, "bound": bound})
            chart = curves_chart(kind, results, asked, patterns, x)
        else:
            chart = _of_stores(results, kind, sweep, patterns, conditions, at, (x, y), bound=bound)
        chart = arranged(chart, arrangement)
        if ax is not None:
            draw_panel(chart, ax, layout)
            figure = ax.get_figure(root=True)
            assert figure is not None
            return figure
    return draw_chart(chart, layout)


def _texts(name: str, given: Any) -> tuple[str, ...]:
    """Return one or several texts as a tuple."""
    several = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (None,)
    if not all(isinstance(one, str) for one in several):
        raise ValueError(f"{name} must be a text or a sequence of texts, got {shown(given)}")
    return several


def _of_stores(
    results: Any,
    kind: str,
    sweep: str | None,
    patterns: Sequence[str],
    conditions: Sequence[str],
    at: ArrayLike,
    along: tuple[str | None, str | None],
    *,
    bound: bool,
) -> Chart:
    """Return the chart of what was swept."""
    if isinstance(results, StudyResults | Mapping):
        raise ValueError(f"results of gradient coding have kind='descent', got kind={shown(kind)}")
    found = chosen_all(results)
    x, y = (None if name is None else axis(argument, name) for argument, name in zip(("x", "y"), along, strict=True))
    times = tuple(real_array("at", at).ravel().tolist())
    section = joined({name: one.only(sweep) for name, one in found.items()})
    return stored_chart(kind, section, series=patterns, where=conditions, at=times, x=x, y=y, bound=bound)

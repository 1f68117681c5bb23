"""Charts of results that are no store: descents of gradient coding, and accuracies of trainings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uepgpu.charts.chart import Chart
from uepgpu.charts.descent import descent_chart
from uepgpu.charts.training import ALONG, training_chart
from uepgpu.checks import shown
from uepgpu.results.courses import read_courses
from uepgpu.results.descents import descents_of, read_descents, runs_of
from uepgpu.results.studies import StudyResults
from uepgpu.store.sections import fitting

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CURVES", "Curves", "curves_chart"]

CURVES = ("descent", "training")
"""Kinds of charts of curves."""
TITLES = {"descent": "Error of gradient descent", "training": "Accuracy of coded training"}

Curves = StudyResults | Mapping[str, "xr.Dataset"] | str | os.PathLike[str]
"""What curves are drawn of: a study, runs by label (descents), or the file that a command wrote."""


@dataclass(frozen=True)
class Asked:
    """What was asked of a chart that is for stores alone, by what it is called.

    Attributes
    ----------
    dash : str
        What stands before the names of options.
    given : dict of str to Any
        Empty values were not asked for.
    """

    dash: str
    given: dict[str, Any]


def curves_chart(kind: str, curves: object, asked: Asked, series: Sequence[str], x: str | None) -> Chart:
    """Return the chart of a kind of :data:`CURVES`.

    Parameters
    ----------
    kind : str
    curves : Curves
        For ``"training"`` a path.
    asked : Asked
    series : sequence of str
        Patterns of labels; empty for all.
    x : str or None
        Of trainings ``"step"`` or ``"time"``.

    Raises
    ------
    ValueError
        If there is nothing of the kind there, or something is asked for that the kind does not have.
    """
    for name, value in asked.given.items():
        if value:
            raise ValueError(f"{asked.dash}{name} is for what was swept into a store, not for {asked.dash}kind {kind}")
    if not isinstance(curves, StudyResults | Mapping | str | os.PathLike):
        raise ValueError(f"results must be those of gradient coding or training for kind={shown(kind)}, got {curves!r}")
    if kind == "training":
        if not isinstance(curves, str | os.PathLike):
            raise ValueError(f"results must be the curves.csv that `uepgpu train` wrote, got {shown(curves)}")
        along = x or "step"
        if along not in ALONG:
            raise ValueError(f"{asked.dash}x must be one of {', '.join(ALONG)}, got {shown(x)}")
        courses = read_courses(curves)
        labels = fitting(list(dict.fromkeys(c.label for c in courses)), series)
        return training_chart([c for c in courses if c.label in labels], TITLES[kind], along)
    if x is not None:
        raise ValueError(f"{asked.dash}x is not for {asked.dash}kind descent, which has a panel over iterations and one over time")
    title = curves.title if isinstance(curves, StudyResults) else TITLES[kind]
    if isinstance(curves, StudyResults):
        descents = descents_of(curves.curves)
    else:
        descents = runs_of(curves) if isinstance(curves, Mapping) else read_descents(curves)
    labels = fitting(list(dict.fromkeys(d.series for d in descents)), series)
    return descent_chart([d for d in descents if d.series in labels], title)

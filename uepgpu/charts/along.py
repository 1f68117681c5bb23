"""Any axis of a grid on the x axis: losses, decoding probabilities and quantiles at a few deadlines, or after a few packets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from uepgpu import theory
from uepgpu.charts.chart import LOSS, Chart, Floats, Line, NothingToShow, Panel, call_for_log_x, left_out, panel_title, spread
from uepgpu.charts.times import chosen_deadlines, place
from uepgpu.results.axes import Axis, Place, group_along
from uepgpu.results.setting import in_unit
from uepgpu.results.simulated import Simulated, decoding_of, knows_law, law_of, loss_of
from uepgpu.results.summary import choose_deadlines

__all__ = ["ALONG", "along_chart"]

QUANTILES = (0.5, 0.9, 0.99)
MOST_COUNTS = 3
"""Numbers of received packets that are chosen by default."""

Values = tuple[float, float, float, float]
"""Estimate, low, high and exact value; nan where there is none."""


@dataclass(frozen=True)
class Quantity:
    """What a kind of figure shows along an axis.

    Attributes
    ----------
    names : callable
        From the points to what each row of panels shows: the beginning of its title and the label of its y axis.
    values : callable
        From a point and a deadline (or a number of packets) to a value for each row, or None where the point has none.
    """

    names: Callable[[Sequence[Simulated]], list[tuple[str, str]]]
    values: Callable[[Simulated, float], list[Values] | None]


def along_chart(kind: str, simulated: Sequence[Simulated], title: str, at: Sequence[float], x: Axis) -> Chart:
    """Return the chart of a kind with an axis of the grid on its x axis.

    Parameters
    ----------
    kind : str
        One of :data:`ALONG`.
    simulated : sequence of points with tallies
    title : str
    at : sequence of float
        Deadlines, for ``packets`` numbers of received packets; default: a few.
    x : Axis
        Points that differ along it alone make a line. Where all of its places are numbers it is a scale of numbers.

    Raises
    ------
    NothingToShow
        If there are no two places along the axis, or no point has data for this kind.
    ValueError
        If the kind has an x axis of its own, or `at` is none of the points' deadlines.
    """
    if kind not in ALONG:
        raise ValueError(f"--x needs --kind {', '.join(ALONG)}, got {kind!r}, which has an x axis of its own")
    quantity = ALONG[kind]
    times = _received(simulated, at) if kind == "packets" else chosen_deadlines(simulated, at)
    known = {(id(s), t): v for s in simulated for t in times if (v := quantity.values(s, t)) is not None}
    shown = [s for s in simulated if any((id(s), t) in known for t in times)]
    if not shown:
        raise NothingToShow(f"no point has data for --kind {kind}: " + _LACKING[kind])
    places = _places(shown, x)
    if len(places) < 2:
        raise NothingToShow(f"all points have one place along {x.name}, {next(iter(places)).text}: a grid that varies it has more")
    numeric = all(p.number is not None for p in places)
    groups = group_along(shown, [x])
    labels = list(dict.fromkeys(label for _, label in groups))
    rows: list[tuple[Panel | None, ...]] = []
    for panel in dict.fromkeys(panel for panel, _ in groups):
        members = {label: group for (where, label), group in groups.items() if where == panel}
        name = panel_title(next(iter(members.values()))[0].point) if any(panel) else ""
        for r, (what, y_label) in enumerate(quantity.names(shown)):
            row: list[Panel | None] = []
            for t in times:
                lines = [_line(label, group, t, r, known, places, x) for label, group in members.items()]
                when = f"N = {t:g}" if kind == "packets" else in_unit(f"t = {t:g}", simulated[0].point.workers)
                heading = ": ".join(filter(None, (f"{what}{when}", name)))
                ticks = () if numeric else tuple(p.text for p in places)
                kept = tuple(line for line in lines if line is not None)
                row.append(Panel(heading, x.scale if numeric else x.symbol, y_label, kept, ticks=ticks) if kept else None)
            rows.append(tuple(row))
    chart = Chart(kind, title, tuple(rows), {label: i for i, label in enumerate(labels)}, notes=_notes(simulated, shown, kind))
    seen = [v for line in chart.lines for v in np.where(line.upper_bound, line.high, line.value)]
    positions = [p.number for p in places if p.number is not None] if numeric else []
    return replace(
        chart,
        probability=kind == "probability",
        logarithmic=kind != "probability" and spread(seen),
        log_x=call_for_log_x(positions) if numeric else False,
        whole_x=numeric and all(float(p).is_integer() for p in positions),
    )


def _places(simulated: Sequence[Simulated], x: Axis) -> dict[Place, int]:
    """Return the places along the axis, in order, with their numbers."""
    found = dict.fromkeys(x.of(s.point) for s in simulated)
    numeric = all(p.number is not None for p in found)
    ordered = sorted(found, key=lambda p: p.number or 0.0) if numeric else list(found)
    return {p: i for i, p in enumerate(ordered)}


def _line(
    label: str, group: Sequence[Simulated], t: float, row: int, known: dict[Any, list[Values]], places: dict[Place, int], x: Axis
) -> Line | None:
    numeric = all(p.number is not None for p in places)
    found = []
    for s in group:
        values = known.get((id(s), t))
        if values is not None and row < len(values):
            at = x.of(s.point)
            found.append((at.number if numeric and at.number is not None else float(places[at]), *values[row]))
    if not found:
        return None
    data: Floats = np.array(sorted(found), dtype=np.float64)
    exact = None if np.isnan(data[:, 4]).all() else data[:, 4]
    return Line(label, data[:, 0], data[:, 1], data[:, 2], data[:, 3], exact)


def _notes(simulated: Sequence[Simulated], shown: Sequence[Simulated], kind: str) -> tuple[str, ...]:
    missing = left_out([s.point for s in simulated if all(s is not other for other in shown)])
    return (f"Left out, {_LACKING[kind]}: {missing}.",) if missing else ()


def _received(simulated: Sequence[Simulated], at: Sequence[float]) -> tuple[float, ...]:
    """Return numbers of received packets: those of `at`, or a few."""
    most = max(s.point.workers.n_packets for s in simulated)
    for n in at:
        if not float(n).is_integer() or not 0 <= n <= most:
            raise ValueError(f"--at must be numbers of received packets from 0 to {most}, got {n:g}")
    return tuple(at) or tuple(float(i + 1) for i in choose_deadlines(range(1, most + 1), (), MOST_COUNTS))


# --- what is shown ----------------------------------------------------------------------------------------------------


def _when(s: Simulated, t: float) -> tuple[dict[str, Any], int] | None:
    """Return the arguments that ask a tally for a deadline, and the row of the answer; None if it has none."""
    if s.tally.domain == "count":
        return {"workers": s.point.workers, "deadlines": [t]}, 0
    row = place(s.point.deadlines, t)
    return None if row is None else ({}, row)


def _exact(compute: Callable[[], Any], count: int) -> list[float]:
    try:
        return [float(v) for v in np.ravel(compute())]
    except NotImplementedError:
        return [math.nan] * count


def _loss(s: Simulated, t: float) -> list[Values] | None:
    if (when := _when(s, t)) is None:
        return None
    options, row = when
    found = loss_of(s, **options)
    p = s.point
    exact = _exact(lambda: theory.loss(p.code, p.part, p.workers, deadlines=[t])["normalized_loss"].values, 1)
    value, low, high = (float(found[f"normalized_loss{end}"].values[row]) for end in ("", "_low", "_high"))
    return [(value, low, high, exact[0])]


def _packets(s: Simulated, n: float) -> list[Values] | None:
    if s.tally.domain != "count" or n > s.tally.n_packets:
        return None
    found, p = loss_of(s), s.point
    exact = _exact(lambda: theory.loss(p.code, p.part, p.workers, received=[int(n)])["normalized_loss"].values, 1)
    value, low, high = (float(found[f"normalized_loss{end}"].values[int(n)]) for end in ("", "_low", "_high"))
    return [(value, low, high, exact[0])]


def _probability(s: Simulated, t: float) -> list[Values] | None:
    if (when := _when(s, t)) is None:
        return None
    options, row = when
    found, p = decoding_of(s, **options), s.point
    value, low, high = (np.asarray(found[name].values[row], dtype=np.float64) for name in ("probability", "low", "high"))
    exact = _exact(lambda: theory.decoding_probability(p.code, p.part, p.workers, deadlines=[t])["probability"].values, value.size)
    return list(zip(value.tolist(), low.tolist(), high.tolist(), exact, strict=True))


def _quantiles(s: Simulated, t: float) -> list[Values] | None:
    if not knows_law(s) or (when := _when(s, t)) is None:
        return None
    options, row = when
    found, p = law_of(s).loss_quantile(s.point.part, QUANTILES, **options), s.point
    value, low, high = (np.asarray(found[f"normalized_loss{end}"].values[row], dtype=np.float64) for end in ("", "_low", "_high"))
    exact = _exact(
        lambda: theory.loss_quantile(p.code, p.part, p.workers, q=QUANTILES, deadlines=[t])["normalized_loss"].values, value.size
    )
    return list(zip(value.tolist(), low.tolist(), high.tolist(), exact, strict=True))


def _class_names(simulated: Sequence[Simulated]) -> list[tuple[str, str]]:
    most = max(s.point.part.n_classes for s in simulated)
    return [(f"class {c}, ", f"Pr[class {c} is decoded]") for c in range(1, most + 1)]


def _quantile_names(simulated: Sequence[Simulated]) -> list[tuple[str, str]]:
    return [(f"{100 * q:g} % quantile, ", "normalized loss of one realization") for q in QUANTILES]


ALONG = {
    "loss": Quantity(lambda points: [("", LOSS)], _loss),
    "packets": Quantity(lambda points: [("", LOSS)], _packets),
    "probability": Quantity(_class_names, _probability),
    "distribution": Quantity(_quantile_names, _quantiles),
}
"""What can be shown along an axis of the grid."""

_LACKING = {
    "loss": "simulated at other deadlines",
    "packets": "simulated by deadline alone, or with fewer packets",
    "probability": "simulated at other deadlines",
    "distribution": "simulated at other deadlines, or pairs of sub-products, or means over rounds, do not determine a distribution",
}

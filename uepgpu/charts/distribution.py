"""Quantiles of the loss of one realization, code by code, at chosen deadlines."""

from __future__ import annotations

from collections.abc import Sequence

from uepgpu.charts.chart import Box, Chart, NothingToShow, Panel, left_out, looks_of, panel_title, spread
from uepgpu.charts.times import chosen_deadlines, lacking, place
from uepgpu.results.setting import in_unit
from uepgpu.results.simulated import Simulated, knows_law, law_of

__all__ = ["AXIS", "LEVELS", "UNKNOWN", "distribution_chart"]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
UNKNOWN = (
    "no code here decodes class by class, and tallies of pairs of sub-products give the mean loss only, as do means over rounds; "
    "codes that do are now, ew and mds with free or stacked encoding, in classes of at least one sub-product, for example"
)
"""Why there is nothing to show."""
AXIS = "normalized loss of one realization  ‖C − Ĉ‖² / ‖C‖²"


def distribution_chart(simulated: Sequence[Simulated], title: str, at: Sequence[float]) -> Chart:
    """Return the chart of quantiles at the deadlines `at`, or at a few of the points'.

    Raises
    ------
    NothingToShow
        If no code decodes class by class: a tally of pairs has the mean alone.
    ValueError
        If `at` names none of a point's deadlines.
    """
    known = [s for s in simulated if knows_law(s)]
    if not known:
        raise NothingToShow(UNKNOWN)
    times = chosen_deadlines(known, at)
    boxes = {(s.point.panel, s.point.series): _boxes(s, times) for s in known}
    rows = []
    for key in dict.fromkeys(s.point.panel for s in known):
        members = [s for s in known if s.point.panel == key]
        name = panel_title(members[0].point)
        row: list[Panel | None] = []
        for t in times:
            mine = tuple(b for s in members if (b := boxes[key, s.point.series].get(t)) is not None)
            row.append(Panel(f"{in_unit(f't = {t:g}', members[0].point.workers)}: {name}", AXIS, "", boxes=mine) if mine else None)
        rows.append(tuple(row))
    everything = [b for at_times in boxes.values() for b in at_times.values()]
    missing = left_out([s.point for s in simulated if not knows_law(s)])
    unknown = "pairs of sub-products, or means over rounds, do not determine a distribution"
    notes: tuple[str, ...] = (f"Left out, as {unknown}: {missing}.",) if missing else ()
    notes += lacking(known, times)
    looks = looks_of([s.point for s in simulated], [s.point for s in known])
    logarithmic = spread(v for b in everything for v in (*b.quantiles, b.mean))
    return Chart("distribution", title, tuple(rows), looks, logarithmic=logarithmic, notes=notes)


def _boxes(simulated: Simulated, times: Sequence[float]) -> dict[float, Box]:
    """Return a box by deadline, for those that the point has."""
    point, tally = simulated.point, law_of(simulated)
    counted = tally.domain == "count"
    mine = [t for t in times if counted or place(point.deadlines, t) is not None]
    if not mine:
        return {}
    options = {"workers": point.workers, "deadlines": mine} if counted else {}
    quantiles = tally.loss_quantile(point.part, LEVELS, **options)["normalized_loss"].values  # type: ignore[arg-type]
    mean = tally.loss(point.part, **options)  # type: ignore[arg-type]
    result = {}
    for i, t in enumerate(mine):
        row = i if counted else place(point.deadlines, t)
        middle, low, high = (float(mean[f"normalized_loss{end}"].values[row]) for end in ("", "_low", "_high"))
        result[t] = Box(point.series, tuple(float(q) for q in quantiles[row]), middle, low, high)
    return result

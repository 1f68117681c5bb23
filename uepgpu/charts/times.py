"""Which deadlines a chart at a few of them shows."""

from __future__ import annotations

from collections.abc import Sequence

from uepgpu.charts.chart import left_out
from uepgpu.results.simulated import Simulated
from uepgpu.results.summary import choose_deadlines, place

__all__ = ["chosen_deadlines", "lacking", "place", "preferred"]

MOST = 3
"""Number of deadlines that are chosen by default."""
MOST_SHOWN = 4
"""Most deadlines taken from a specification: as many columns as stay legible."""


def chosen_deadlines(simulated: Sequence[Simulated], at: Sequence[float]) -> tuple[float, ...]:
    """Return the deadlines `at`, each one of some point's; or a few of the first point's, 0 not among them.

    Raises
    ------
    ValueError
        If a deadline is no point's.
    """
    if not at:
        times = [t for t in simulated[0].point.deadlines if t > 0] or list(simulated[0].point.deadlines)
        return tuple(times[i] for i in choose_deadlines(times, (), MOST))
    known = sorted({t for s in simulated for t in s.point.deadlines})
    for t in at:
        if place(known, t) is None:
            shown = ", ".join(f"{k:g}" for k in known[:30]) + (", …" if len(known) > 30 else "")
            raise ValueError(f"no point has the deadline {t:g}; there are {shown}")
    return tuple(known[i] for t in at if (i := place(known, t)) is not None)


def preferred(simulated: Sequence[Simulated], show: Sequence[float]) -> tuple[float, ...]:
    """Return the first few of the deadlines that a sweep wants shown, as far as these points have them."""
    known = [t for t in show if any(place(s.point.deadlines, t) is not None for s in simulated)]
    return tuple(known[:MOST_SHOWN])


def lacking(simulated: Sequence[Simulated], times: Sequence[float]) -> tuple[str, ...]:
    """Return a note of the points that were simulated at other deadlines than these, if there are any."""
    missing = [s.point for s in simulated if s.tally.domain != "count" and any(place(s.point.deadlines, t) is None for t in times)]
    return (f"Left out where they have no such deadline: {left_out(missing)}.",) if missing else ()

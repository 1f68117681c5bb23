"""The printed summary of a sweep: every series at a few deadlines, simulated beside exact."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uepgpu.results.setting import in_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uepgpu.results.curve import Curve

__all__ = ["NOTE", "Block", "blocks", "choose_deadlines", "place"]

NOTE = (
    "Normalized loss at deadline t: simulated with its 95 % interval, then exact. worst: greatest distance of the exact loss from "
    "the simulated one over all deadlines, 1 being the interval's end. “<” stands before a bound where nothing was observed."
)
ROUNDING = 1e-12
CELL = 39
"""Columns of text that one deadline takes at most: simulated, interval, exact and the gaps."""


@dataclass(frozen=True)
class Block:
    """The table of one panel.

    Attributes
    ----------
    title : str
    header : tuple of str
    body : tuple of tuples of str
        One row per series.
    """

    title: str
    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]


def place(deadlines: Sequence[float], t: float) -> int | None:
    """Return the index of a deadline, or None."""
    return next((i for i, other in enumerate(deadlines) if math.isclose(t, other, rel_tol=1e-12, abs_tol=1e-12)), None)


def choose_deadlines(deadlines: Sequence[float], show: Sequence[float], most: int) -> list[int]:
    """Return the indices of at most `most` deadlines: those of `show`, else evenly spread ones with the last."""
    wanted = [min(range(len(deadlines)), key=lambda i: abs(deadlines[i] - t)) for t in show]
    if not wanted:
        count = min(most, len(deadlines))
        return sorted({round((i + 1) * len(deadlines) / count) - 1 for i in range(count)})
    if len(wanted) <= most:
        return wanted
    return [wanted[round(i * (len(wanted) - 1) / max(most - 1, 1))] for i in range(most)]


def _value(x: float) -> str:
    return f"{x:.4f}" if x >= 0.01 or x == 0 else f"{x:.2e}"


def _simulated(curve: Curve, d: int) -> str:
    estimate, low, high = (float(x[d]) for x in (curve.normalized, curve.normalized_low, curve.normalized_high))
    if high - low <= ROUNDING * high:
        # Such a code decodes alike in every realization with as many packets: there is no interval.
        return _value(estimate)
    # Nothing observed is a bound, not a zero.
    return f"< {_value(high)}" if estimate == 0 else f"{_value(estimate)} [{_bound(low)}, {_bound(high)}]"


def _bound(x: float) -> str:
    return f"{x:.4f}" if x >= 0.01 or x == 0 else f"{x:.1e}"


def _deviation(curve: Curve) -> str:
    worst = curve.worst_deviation()
    return "–" if worst is None else f"{worst:.2f}" if math.isfinite(worst) else "∞"


def blocks(curves: Sequence[Curve], show: Sequence[float], width: int) -> list[Block]:
    """Return one table per panel, with as many deadlines as fit `width` characters.

    Parameters
    ----------
    curves : sequence of Curve
    show : sequence of float
        Deadlines to prefer; empty for evenly spread ones.
    width : int
        Characters of a line.
    """
    label = max([6, *(len(c.point.series) for c in curves)])
    most = max(1, min(5, (width - label - 14) // CELL))
    result = []
    for partition, work in dict.fromkeys(c.point.panel for c in curves):
        members = [c for c in curves if c.point.panel == (partition, work)]
        first = members[0].point
        chosen = choose_deadlines(first.deadlines, show, most)
        times = [in_unit(f"t = {first.deadlines[d]:g}", first.workers) for d in chosen]
        header = ("series", "W", *itertools.chain.from_iterable((t, "exact") for t in times), "worst")
        body = tuple(
            (
                c.point.series,
                str(c.point.workers.count),
                *itertools.chain.from_iterable(
                    (_simulated(c, d), "–" if c.exact is None else _value(float(c.exact[d]))) for d in chosen
                ),
                _deviation(c),
            )
            for c in members
        )
        paradigm = "" if partition == first.part.paradigm else f" ({first.part.paradigm})"
        result.append(Block(f"{partition}{paradigm}, {work} work", header, body))
    return result

"""The cost model in one line: what figures, tables and reports rest on, values that all points share said once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from uepgpu.checks import MOST_SHOWN
from uepgpu.latency import Latency, Staged

if TYPE_CHECKING:
    from uepgpu.points.point import Point
    from uepgpu.workers import Workers

__all__ = [
    "axis_of_time",
    "befalling",
    "describe_setting",
    "describe_workers",
    "in_unit",
    "latency_of",
    "setting_line",
    "time_axis",
    "time_unit",
]

MOST_NAMED = 3
"""Series that are named beside a value that they alone have."""
MOST_VALUES = 8
MOST_EXPLAINED = 3
"""Values beside which it is said who has them."""
ALONE = "nothing else"
"""What befalls workers without losses, racks, second tries and unequal speeds, beside others with them."""
TIME = "deadline t"
UNNAMED = "unit of time of the latency law"
DOUBLINGS, HALVINGS = 200, 60


def describe_setting(points: Sequence[Point]) -> str:
    """Return W, latency, what else befalls workers, Ω, work, encoding, rounds and Γ of points, compactly.

    A value that all share stands once; else the commonest stands first and what others have after it, with their names.

    Examples
    --------
    >>> from uepgpu.sweep.spec import read_spec
    >>> describe_setting(read_spec("paper").points)
    'W = 30; latency Exponential(rate=1.0); Ω = 1; unit work; encoding free, stacked (cxr); Γ = 0.4/0.35/0.25.'
    >>> describe_setting(read_spec("fair").points)[:86]
    'W = 30, 9 (uncoded, W = 9), 18 (2-fold repetition, W = 18); latency Exponential(rate=1'
    """
    parts = [
        f"W = {_shared(points, lambda p: str(p.workers.count))}",
        f"latency {_shared(points, lambda p: _short(p.workers.describe_latency()))}",
        *([_shared(points, lambda p: befalling(p.workers) or ALONE)] if any(befalling(p.workers) for p in points) else []),
        f"Ω = {_shared(points, _omega)}",
        f"{' and '.join(dict.fromkeys(str(p.workers.work) for p in points))} work",
        f"encoding {_shared(points, lambda p: ' '.join(filter(None, (p.encoding, p.window))))}",
    ]
    if any(p.rounds for p in points):
        parts.append(_shared(points, lambda p: "single rounds" if p.rounds is None else f"{p.rounds} rounds"))
    with_gamma = [p for p in points if getattr(p.code, "gamma", None)]
    if with_gamma:
        parts.append(f"Γ = {_shared(with_gamma, lambda p: '/'.join(f'{g:.4g}' for g in p.code.gamma))}")  # type: ignore[attr-defined]
    if unit := time_unit(points):
        parts.append(f"times in {unit}")
    return f"{'; '.join(parts)}."


def befalling(workers: Workers) -> str:
    """Return what befalls workers besides their latency law: unequal speeds, losses, racks, second tries; empty if nothing does.

    Examples
    --------
    >>> import uepgpu as uep
    >>> befalling(uep.Workers(3, loss_probability=0.1, racks=uep.Racks([0, 0, 1], 0.2)))
    '0.1 lost, 2 racks, each dark with probability 0.2'
    >>> befalling(uep.Workers(3))
    ''
    """
    found = []
    if workers.speeds is not None:
        speeds = workers.speed()
        low, high = float(speeds.min()), float(speeds.max())
        found.append(f"speed {low:g}" if low == high else f"speeds {low:g} to {high:g}")
    if workers.loss_probability:
        found.append(f"{workers.loss_probability:g} lost")
    if workers.racks is not None:
        found.append(workers.racks.describe())
    if workers.backup is not None:
        found.append(f"{type(workers.backup).__name__.lower()} after {workers.backup.after:g}")
    return ", ".join(found)


def time_unit(points: Sequence[Point]) -> str | None:
    """Return what the times of all points are measured in; None where that has no name, or not one name."""
    units = {p.workers.time_unit for p in points}
    return units.pop() if len(units) == 1 else None


def in_unit(value: str, workers: Workers) -> str:
    """Return a time with its unit, if that has a name.

    Examples
    --------
    >>> from uepgpu import Workers
    >>> in_unit("0.3", Workers(30, time_unit="ms")), in_unit("0.3", Workers(30))
    ('0.3 ms', '0.3')
    """
    return value if workers.time_unit is None else f"{value} {workers.time_unit}"


def describe_workers(workers: Workers, n_subproducts: int) -> str:
    """Return W, latency, Ω and work of workers.

    Examples
    --------
    >>> from uepgpu import Workers
    >>> describe_workers(Workers(30, omega="fair"), 9)
    'W = 30; latency Exponential(rate=1.0); Ω = K/W = 0.3; true work.'
    """
    omega = f"{'K/W = ' if workers.omega == 'fair' else ''}{workers.resolved_omega(n_subproducts):g}"
    return setting_line(workers.count, latency_of(workers), omega, workers.work, workers.time_unit)


def latency_of(workers: Workers) -> str:
    """Return the latency law, and what else befalls workers."""
    return ", ".join(filter(None, (workers.describe_latency(), befalling(workers))))


def setting_line(count: int | str, latency: str, omega: str, work: str, unit: str | None) -> str:
    """Return W, latency, Ω, work and the unit of time, however they are known."""
    times = "" if unit is None else f"; times in {unit}"
    return f"W = {count}; latency {_short(latency)}; Ω = {omega}; {work} work{times}."


def _short(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def _omega(point: Point) -> str:
    return "K/W" if point.workers.omega == "fair" else f"{point.workers.omega:g}"


def _shared(points: Sequence[Point], value_of: Callable[[Point], str]) -> str:
    """Return a value that all points have; else the commonest one, then the others with who has them."""
    groups: dict[str, list[Point]] = {}
    for p in points:
        groups.setdefault(value_of(p), []).append(p)
    if len(groups) > MOST_VALUES:
        return f"one of {len(groups)} values"
    first, *others = sorted(groups, key=lambda value: -len(groups[value]))
    said = len(groups) <= MOST_EXPLAINED
    return ", ".join([first, *(f"{value}{_who(groups[value], points) if said else ''}" for value in others)])


def _who(members: Sequence[Point], points: Sequence[Point]) -> str:
    """Return who alone has a value: a partition, or a few series; empty if many do."""
    inside = {id(p) for p in members}
    for kind in ("partition", "series"):
        names = list(dict.fromkeys(str(getattr(p, kind)) for p in members))
        alone = all(id(p) in inside for p in points if getattr(p, kind) in names)
        if alone and len(names) <= MOST_NAMED:
            return f" ({', '.join(names)})"
    return ""


def time_axis(points: Sequence[Point]) -> str:
    """Return the label of an axis of deadlines, which says what a unit of time is where one latency law and one load have it said.

    Examples
    --------
    >>> from uepgpu.sweep.spec import read_spec
    >>> time_axis(read_spec("paper").points)
    'deadline t (half of all block products take at most 0.69)'
    >>> time_axis(read_spec("fair").points)
    'deadline t (unit of time of the latency law)'
    """
    known = {(p.workers.describe_latency(), p.workers.resolved_omega(p.part.n_subproducts), p.workers.speeds) for p in points}
    workers = points[0].workers
    law = workers.latency
    if len(known) > 1 or workers.speeds is not None or not isinstance(law, Latency) or isinstance(law, Staged):
        return axis_of_time(TIME, time_unit(points))
    middle = _median(law) / workers.resolved_omega(points[0].part.n_subproducts)
    unit = time_unit(points)
    if not np.isfinite(middle):
        return axis_of_time(TIME, unit)
    name, units = (TIME, "") if unit is None else (axis_of_time(TIME, unit), f" {unit}")
    return f"{name} (half of all block products take at most {middle:.2g}{units})"


def axis_of_time(name: str, unit: str | None) -> str:
    """Return the label of an axis of times, with their unit.

    Examples
    --------
    >>> axis_of_time("time", "ms"), axis_of_time("time", None)
    ('time [ms]', 'time (unit of time of the latency law)')
    """
    return f"{name} ({UNNAMED})" if unit is None else f"{name} [{unit}]"


def _median(law: Latency) -> float:
    """Return the median of a law, infinite if half never answers within 2^200."""
    high = 1.0
    for _ in range(DOUBLINGS):
        if float(law.cdf(high)) >= 0.5:
            break
        high *= 2.0
    else:
        return np.inf
    low = 0.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if float(law.cdf(middle)) >= 0.5 else (middle, high)
    return high

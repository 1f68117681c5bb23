"""What a grid varied, read back from the points themselves: their places along an axis, and which points are alike otherwise."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from uepgpu.checks import closest, shown
from uepgpu.specification.axes import PANELS, SYMBOLS, WORKERS

if TYPE_CHECKING:
    from uepgpu.points.point import Point
    from uepgpu.results.simulated import Simulated

__all__ = ["Axis", "Place", "axis", "group_along"]

S = TypeVar("S", bound="Simulated")

SUBSCRIPTS = "₁₂₃₄₅₆₇₈"
ABSENT = "–"
"""The place of a point without the property, say Γ of uncoded workers."""


@dataclass(frozen=True)
class Place:
    """Where a point stands along an axis.

    Attributes
    ----------
    text : str
    number : float or None
        None where it is no number.
    """

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Axis:
    """A property of points that a grid may vary.

    Attributes
    ----------
    name : str
        As in the ``grid`` of a specification; ``gamma_1`` to ``gamma_8`` besides, the components of Γ.
    symbol : str
        For labels.
    of : callable
        From a point to its place.
    """

    name: str
    symbol: str
    of: Callable[[Point], Place]

    @property
    def scale(self) -> str:
        """What the numbers of its places are: of a vector its first component."""
        return f"{self.symbol}₁" if self.name in ("gamma", "gamma_b") else self.symbol

    @property
    def family(self) -> str:
        """What it is a component of: ``gamma`` for ``gamma_2``."""
        return "gamma" if self.name.startswith("gamma_") and self.name[6:].isdigit() else self.name


def _number(value: Any) -> Place:
    return Place(ABSENT) if value is None else Place(f"{value:g}", float(value))


def _text(value: Any) -> Place:
    return Place(ABSENT if value is None else str(value))


def _vector(value: Any, index: int = 0) -> Place:
    if value is None:
        return Place(ABSENT)
    return Place("/".join(f"{x:g}" for x in value), float(value[index]) if index < len(value) else None)


def _component(index: int) -> Callable[[Point], Place]:
    def of(point: Point) -> Place:
        gamma = getattr(point.code, "gamma", None)
        return _number(None if gamma is None or index >= len(gamma) else gamma[index])

    return of


def _omega(point: Point) -> Place:
    omega = point.workers.omega
    return Place(omega) if isinstance(omega, str) else _number(omega)


def _blocks(index: int, paradigm: str) -> Callable[[Point], Place]:
    return lambda point: _number(point.part.shape[index] if point.part.paradigm == paradigm else None)


def _levels(name: str) -> Callable[[Point], Place]:
    def of(point: Point) -> Place:
        levels = getattr(point.part, name)
        return Place(ABSENT) if levels is None else Place("/".join(map(str, levels.tolist())))

    return of


_KNOWN = (
    Axis("series", "series", lambda p: _text(p.series)),
    Axis("code", "code", lambda p: _text(p.code_name)),
    Axis("gamma", "Γ", lambda p: _vector(getattr(p.code, "gamma", None))),
    Axis("gamma_b", "Γ_B", lambda p: _vector(getattr(p.code, "gamma_b", None))),
    Axis("encoding", "encoding", lambda p: _text(p.encoding)),
    Axis("window", "window", lambda p: _text(p.window or None)),
    Axis("windows", "windows", lambda p: _text(getattr(p.code, "windows", None))),
    Axis("coefficients", "coefficients", lambda p: _text(getattr(p.code, "coefficients", None))),
    Axis("copies", "copies", lambda p: _number(getattr(p.code, "copies", None))),
    Axis("workers", "number of workers W", lambda p: _number(p.workers.count)),
    Axis("latency", "latency", lambda p: _text(p.workers.describe_latency())),
    Axis("omega", "load normalisation Ω", _omega),
    Axis("work", "work", lambda p: _text(p.workers.work)),
    Axis("loss_probability", "loss probability ε", lambda p: _number(p.workers.loss_probability)),
    Axis("partitions", "partition", lambda p: _text(p.partition)),
    Axis("classes", "class sizes", lambda p: Place("/".join(map(str, p.part.class_sizes)))),
    Axis("rows", "row blocks N", _blocks(0, "rxc")),
    Axis("cols", "column blocks P", _blocks(1, "rxc")),
    Axis("blocks", "blocks M", _blocks(0, "cxr")),
    Axis("row_levels", "row levels", _levels("row_level")),
    Axis("col_levels", "column levels", _levels("col_level")),
    Axis("rounds", "rounds R", lambda p: _number(p.rounds)),
    Axis("seed", "seed", lambda p: _number(p.seed)),
)
_AXES = {a.name: a for a in _KNOWN} | {
    f"gamma_{i + 1}": Axis(f"gamma_{i + 1}", f"Γ{SUBSCRIPTS[i]}", _component(i)) for i in range(8)
}


def axis(option: str, name: str) -> Axis:
    """Return the axis of that name.

    Raises
    ------
    ValueError
        If there is none; it says what there is.

    Examples
    --------
    >>> axis("--x", "gamma_2").symbol
    'Γ₂'
    """
    if name not in _AXES:
        known = ", ".join(a.name for a in _KNOWN)
        raise ValueError(f"{option} must be one of {known}, gamma_1 to gamma_8, got {shown(name)}{closest(name, list(_AXES))}")
    return _AXES[name]


def group_along(points: Sequence[S], along: Sequence[Axis]) -> dict[tuple[tuple[str, str], str], list[S]]:
    """Return the points that differ along some axes alone, by panel and label; each label is what their labels have in common.

    Points of different panels are apart even along ``work`` or ``partitions``, unless that is one of the axes. Where a group would
    have two points at one place, it is divided by the rest of Γ, then by label.

    Examples
    --------
    >>> from uepgpu.sweep.run import run_points
    >>> from uepgpu.sweep.spec import read_spec
    >>> outcome = run_points(read_spec("paper", realizations=100).points[::2], backend="numpy")
    >>> list(group_along(outcome.results, [axis("--x", "gamma")]))
    [(('rxc', 'unit'), 'NOW'), (('rxc', 'unit'), 'EW'), (('rxc', 'unit'), 'MDS')]
    """
    families = {a.family for a in along}
    others = [a for a in _KNOWN if a.name not in {*families, "series"}]
    groups: dict[tuple[object, ...], list[S]] = {}
    for s in points:
        groups.setdefault((*(a.of(s.point) for a in others), _unvaried(s.point)), []).append(s)
    result: dict[tuple[tuple[str, str], str], list[S]] = {}
    for group in groups.values():
        for suffix, members in _divided(group, along):
            panel = ("", "") if any(a.name in PANELS for a in along) else members[0].point.panel
            label = _common([s.point.series for s in members], along) + suffix
            # Two groups of one name are called by their first points.
            result[panel, members[0].point.series if (panel, label) in result else label] = members
    return result


def _unvaried(point: Point) -> str:
    """Return what is on no axis: windows and matrices of one's own, racks, backups."""
    names = {*_AXES, *WORKERS.values(), "speeds"}  # there are as many speeds as workers
    described: tuple[Any, ...] = (point.code, point.workers)
    return repr([[getattr(thing, f.name) for f in dataclasses.fields(thing) if f.name not in names] for thing in described])


def _divided(members: list[S], along: Sequence[Axis]) -> list[tuple[str, list[S]]]:
    """Return the group, or its parts if two of its points share a place, each with what its label needs besides."""
    if _apart(members, along):
        return [("", members)]
    parts: dict[str, list[S]] = {}
    rest = _rest_of_gamma(members, along)
    for s in members:
        parts.setdefault("".join(f", {a.symbol} = {a.of(s.point).text}" for a in rest), []).append(s)
    if not all(_apart(part, along) for part in parts.values()):
        parts = {}
        for s in members:
            parts.setdefault(_common([s.point.series], along), []).append(s)
        return [("", part) for own in parts.values() for part in ([own] if _apart(own, along) else [[s] for s in own])]
    return list(parts.items())


def _rest_of_gamma(members: Sequence[S], along: Sequence[Axis]) -> list[Axis]:
    """Return the components of Γ that are on no axis, without the last one, which follows from the others."""
    if "gamma" not in {a.family for a in along}:
        return []
    length = max(len(getattr(s.point.code, "gamma", ())) for s in members)
    taken = {"gamma_1" if a.name == "gamma" else a.name for a in along}
    return [_AXES[f"gamma_{i + 1}"] for i in range(length) if f"gamma_{i + 1}" not in taken][:-1]


def _apart(members: Sequence[S], along: Sequence[Axis]) -> bool:
    # Two vectors that begin alike stand at one place of a figure.
    places = [tuple(a.of(s.point) for a in along) for s in members]
    return len({tuple(p.text if p.number is None else p.number for p in place) for place in places}) == len(members)


def _common(labels: Sequence[str], along: Sequence[Axis]) -> str:
    """Return the parts, between commas, that all labels have, without the values along the axes."""
    first, *others = [re.split(r", (?![^(]*\))", label) for label in labels]
    kept = [part for part in first if all(part in other for other in others)]
    values = tuple(f"{SYMBOLS.get(a.family, a.family)} = " for a in along)
    return ", ".join(part for part in kept if not part.startswith(values)) or first[0]

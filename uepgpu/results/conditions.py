"""Conditions on points: which ones are meant, by their places along the axes of a grid."""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from uepgpu.checks import shown
from uepgpu.results.axes import Axis, Place, axis

if TYPE_CHECKING:
    from uepgpu.results.simulated import Simulated

__all__ = ["only_where"]

S = TypeVar("S", bound="Simulated")

ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ROUNDING = 1e-9
"""Numbers are equal within this, relatively."""
MOST_NAMED = 12
"""Places that an error names."""


def only_where(option: str, points: Sequence[S], conditions: Sequence[str]) -> tuple[S, ...]:
    """Return the points that fulfil every condition.

    Parameters
    ----------
    option : str
        What errors call it.
    points : sequence of points with tallies
    conditions : sequence of str
        An axis, one of ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, and a number or text, in which ``*`` and ``?`` are wildcards.
        ``=`` and ``!=`` take several with commas between; what is the whole name of a place, whatever commas and brackets it has,
        means that place alone. A vector is written with slashes and ordered by its first component.

    Raises
    ------
    ValueError
        If a condition is none, or no point fulfils all of them.

    Examples
    --------
    >>> from uepgpu.sweep.run import run_points
    >>> from uepgpu.sweep.spec import read_spec
    >>> results = run_points(read_spec("paper", realizations=100).points, backend="numpy").results
    >>> [s.point.series for s in only_where("where", results, ["partitions=rxc", "code=now,ew"])]
    ['NOW', 'EW']
    >>> len(only_where("where", results, ["workers>=20", "gamma=0.4/*"]))
    4
    """
    kept = tuple(points)
    for condition in conditions:
        along, fits = _parsed(option, condition, points)
        left = tuple(s for s in kept if fits(along.of(s.point)))
        if not left:
            places = list(dict.fromkeys(along.of(s.point).text for s in kept))
            known = ", ".join(places[:MOST_NAMED]) + (", …" if len(places) > MOST_NAMED else "")
            raise ValueError(f"no point fulfils {option} {shown(condition)}; {along.name} is {known}")
        kept = left
    return kept


def _parsed(option: str, condition: str, points: Sequence[Simulated]) -> tuple[Axis, Callable[[Place], bool]]:
    found = re.fullmatch(r"\s*(\w+)\s*(<=|>=|!=|<|>|=)\s*(.+?)\s*", condition)
    if found is None:
        form = "an axis, one of = != < <= > >=, and a value, such as workers>=20"
        raise ValueError(f"{option} must be {form}, got {shown(condition)}")
    name, sign, value = found.groups()
    along = axis(option, name)
    if sign in ("=", "!="):
        named = any(along.of(s.point).text == value for s in points)
        wanted = [value] if named else [text.strip() for text in value.split(",")]
        return along, lambda place: any(_is(place, text) for text in wanted) == (sign == "=")
    number = _number(value)
    if number is None:
        raise ValueError(f"{option} must compare {name} with a number by {sign}, got {shown(condition)}")
    order = ORDERS[sign]
    return along, lambda place: place.number is not None and order(place.number, number)


def _is(place: Place, text: str) -> bool:
    if text == place.text:  # of a number six digits are shown
        return True
    number = _number(text)
    if number is not None and place.number is not None and "/" not in place.text:
        return math.isclose(place.number, number, rel_tol=ROUNDING)
    return fnmatch.fnmatchcase(place.text, text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

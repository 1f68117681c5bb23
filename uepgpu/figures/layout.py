"""The page that a figure is for: its width, its type, the ends of its axes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from uepgpu.checks import shown

__all__ = ["Layout", "Sizes", "inches", "layout_of"]

UNITS = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0, "pt": 1 / 72}
WIDTHS = {"column": 3.5, "page": 7.16}
"""Inches of one and of two columns of journals in two columns (those of the IEEE)."""
LEAST, MOST = 1.0, 60.0
NARROW_FONT = 8.0
"""Points of figures whose width is given, unless their font is."""
LEAST_PANEL = 2.3
"""Inches that a panel needs at least; where columns have less, panels stand one below the other."""


@dataclass(frozen=True)
class Sizes:
    """Points of what is written in a figure."""

    title: float = 11.0
    panel: float = 10.0
    label: float = 9.0
    tick: float = 8.0
    legend: float = 8.0
    note: float = 8.0


@dataclass(frozen=True)
class Layout:
    """How a figure is laid out.

    Attributes
    ----------
    width, height : float or None
        Inches; None for what its panels take. With a width, panels that would be narrower than 2.3 inches stand one below the
        other, and the legend stands below them.
    font : float or None
        Points of all that is written; None for sizes of its parts, or 8 if there is a width.
    x_limits, y_limits : tuple of float or None
        Ends of the axes of every panel.
    roots : tuple of str
        Which axes, ``"x"`` and ``"y"``, show square roots at even distances.
    """

    width: float | None = None
    height: float | None = None
    font: float | None = None
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    roots: tuple[str, ...] = ()

    @property
    def sizes(self) -> Sizes:
        """How large text is."""
        font = NARROW_FONT if self.font is None and self.width is not None else self.font
        return Sizes() if font is None else Sizes(*[font] * 6)

    def columns(self, wanted: int) -> int:
        """Return into how many columns `wanted` columns of panels go."""
        return wanted if self.width is None else max(1, min(wanted, int(self.width / LEAST_PANEL)))


def layout_of(
    width: float | str | None,
    height: float | str | None,
    font: float | None,
    x_limits: Sequence[float] | None,
    y_limits: Sequence[float] | None,
    scales: tuple[str | None, str | None] = (None, None),
    *,
    dash: str = "",
    between: str = "_",
) -> Layout:
    """Return the layout of arguments of :func:`uepgpu.plot`, or of options: `dash` stands before their names, `between` in them.

    Raises
    ------
    ValueError
        If one is none of what is allowed.
    """
    for axis, limits, scale in (("x", x_limits, scales[0]), ("y", y_limits, scales[1])):
        if scale == "log" and limits is not None and len(limits) and not limits[0] > 0:
            raise ValueError(f"{dash}{axis}{between}limits must be positive on a logarithmic axis, got {shown(limits)}")
    if font is not None and not (isinstance(font, int | float) and 3 <= font <= 72):
        raise ValueError(f"{dash}font must be from 3 to 72 points, got {shown(font)}")
    return Layout(
        None if width is None else inches(f"{dash}width", width),
        None if height is None else inches(f"{dash}height", height),
        font,
        _ends(f"{dash}x{between}limits", x_limits),
        _ends(f"{dash}y{between}limits", y_limits),
        tuple(name for name, scale in zip("xy", scales, strict=True) if scale == "sqrt"),
    )


def _ends(name: str, limits: Sequence[float] | None) -> tuple[float, float] | None:
    if limits is None:
        return None
    if len(limits) != 2 or not all(map(math.isfinite, limits)) or not limits[0] < limits[1]:
        raise ValueError(f"{name} must be two numbers, the lower one first, got {shown(limits)}")
    return limits[0], limits[1]


def inches(name: str, length: str | float) -> float:
    """Return a length in inches.

    Parameters
    ----------
    name : str
        What errors call it.
    length : str or float
        Inches, or a number with a unit, ``"88mm"``, ``"8.8cm"``, ``"3.5in"``, ``"252pt"``; for a width also ``"column"``, 3.5
        inches, or ``"page"``, 7.16, of journals in two columns.

    Raises
    ------
    ValueError
        If it is none, or not from 1 to 60 inches.

    Examples
    --------
    >>> inches("width", "column"), round(inches("width", "88mm"), 2), inches("height", 2)
    (3.5, 3.46, 2.0)
    """
    value = math.nan
    if isinstance(length, str) and name.endswith("width") and length in WIDTHS:
        value = WIDTHS[length]
    elif isinstance(length, str):
        found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(mm|cm|in|pt)?\s*", length)
        value = math.nan if found is None else float(found[1]) * UNITS[found[2] or "in"]
    elif isinstance(length, (int, float)) and not isinstance(length, bool):
        value = float(length)
    if not LEAST <= value <= MOST:
        words = "column, page or " if name.endswith("width") else ""
        raise ValueError(f"{name} must be {words}a length from 1 to 60 inches such as 88mm, 8.8cm or 3.5in, got {shown(length)}")
    return value

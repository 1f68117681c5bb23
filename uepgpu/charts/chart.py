"""Charts as data: panels of lines with intervals, and of boxes that show quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from uepgpu.points.point import Point

__all__ = ["LOSS", "PARADIGMS", "Box", "Cells", "Chart", "Line", "NothingToShow", "Panel", "panel_title"]

Floats = NDArray[np.float64]

LOSS = "normalized loss  E‖C − Ĉ‖² / ‖C‖²"
PARADIGMS = {"rxc": "row-times-column (rxc)", "cxr": "column-times-row (cxr)"}
ROUNDING = 1e-12
LOWEST = 1e-9
"""Least value on an axis of losses."""

MOST_MARKS = 120
"""Full marks per panel: more would hide the lines."""

MANY = 20.0
"""Values that span more than this factor get a logarithmic axis."""


class NothingToShow(ValueError):
    """No point has data for a kind of chart; the message has the reason and the remedy."""


@dataclass(frozen=True, eq=False)
class Line:
    """Estimates with their intervals along an axis, and the exact values there.

    Attributes
    ----------
    label : str
        Of the series; equal labels look alike in a whole chart.
    x, value, low, high : (n,) float64
        Estimates with 95 % intervals; nan for exact values alone.
    exact : (n,) float64 or None
        nan where there is none; None where there is no closed form at all.
    """

    label: str
    x: Floats
    value: Floats
    low: Floats
    high: Floats
    exact: Floats | None

    @property
    def upper_bound(self) -> NDArray[np.bool_]:
        """Where nothing was observed, so that there is only the upper bound `high`; shape (n,)."""
        return (self.value <= ROUNDING * self.high) & (self.high > 0)

    @property
    def lower_bound(self) -> NDArray[np.bool_]:
        """Where no failure of a probability was observed, so that there is only the lower bound `low`; shape (n,)."""
        return (self.value >= 1 - ROUNDING) & (self.low < 1 - ROUNDING) & (self.high <= 1)

    @property
    def simulated(self) -> bool:
        """Whether there is any estimate; else there are exact values alone."""
        return bool(np.isfinite(self.value).any()) or self.exact is None

    def seen(self) -> Floats:
        """Return the values that decide where an axis begins: what was simulated, or what is exact where nothing was."""
        if not self.simulated:
            assert self.exact is not None
            return self.exact
        return np.where(self.upper_bound, self.high, self.value)

    def highest(self) -> float:
        """Return the largest value that an axis must show."""
        values = self.high if self.simulated else self.seen()
        return float(np.nanmax(values)) if np.isfinite(values).any() else 0.0

    def drawn(self, *, probability: bool) -> NDArray[np.bool_]:
        """Return where there is an estimate with an interval to draw, rather than a bound; shape (n,)."""
        return ~self.upper_bound & (~self.lower_bound if probability else self.value > 0)


@dataclass(frozen=True)
class Box:
    """The distribution of the loss of one realization.

    Attributes
    ----------
    label : str
    quantiles : tuple of float
        At :data:`uepgpu.charts.distribution.LEVELS`.
    mean, low, high : float
        The mean loss with its 95 % interval.
    """

    label: str
    quantiles: tuple[float, ...]
    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Cells:
    """A value for each place of two axes.

    Attributes
    ----------
    columns, rows : tuple of str
        Places along the x axis, from the left, and along the y axis, from below.
    value : (rows, columns) float64
        nan where there is no point.
    uncertain : (rows, columns) bool
        Whether a place is within error of the best one, the best included.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    value: Floats
    uncertain: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes.

    Attributes
    ----------
    title, x_label, y_label : str
    lines : tuple of Line
    boxes : tuple of Box
        Instead of lines, one below the other along the value axis, which is horizontal then.
    cells : Cells or None
        Instead of lines, a value for each place of two axes.
    ticks : tuple of str
        What stands at the positions 0, 1, … of an x axis without numbers; empty for numbers.
    y_range : (float, float) or None
        Ends of the axis of values; None for those of the chart.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = ()
    boxes: tuple[Box, ...] = ()
    cells: Cells | None = None
    ticks: tuple[str, ...] = ()
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure.

    Attributes
    ----------
    kind, title : str
    rows : tuple of tuples of Panel or None
        Row by row; None leaves a place empty.
    looks : dict of str to int
        How each series looks, by number, in the order of the legend: alike in all charts of the same points.
    probability : bool
        Whether values are probabilities, on an axis from 0 to 1.
    logarithmic : bool
        Whether the axis of values is logarithmic.
    log_x : bool
    notes : tuple of str
        What a reader needs to know besides the legend.
    muted : frozenset of str
        Series that are shown without a name, in grey.
    whole_x : bool
        Whether positions along the x axis are whole numbers.
    steps : bool
        Whether the value at a position holds from the position before on, for the first from the left end of the axis.
    bands : bool
        Whether lines are estimates at many positions, with a band for the interval; else marks with intervals, and exact lines.
    """

    kind: str
    title: str
    rows: tuple[tuple[Panel | None, ...], ...]
    looks: Mapping[str, int]
    probability: bool = False
    logarithmic: bool = True
    log_x: bool = False
    notes: tuple[str, ...] = ()
    muted: frozenset[str] = frozenset()
    whole_x: bool = False
    steps: bool = False
    bands: bool = False

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The panels, row by row."""
        return tuple(panel for row in self.rows for panel in row if panel is not None)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of all panels."""
        return tuple(line for panel in self.panels for line in panel.lines)

    @property
    def without_exact(self) -> frozenset[str]:
        """Labels of lines for which there is no closed form."""
        return frozenset(line.label for line in self.lines if line.exact is None)

    def turn(self, panel: Panel, line: Line) -> NDArray[np.bool_]:
        """Return where a line has full marks: lines are marked in turn, so that marks of equal lines do not hide each other."""
        longest = max(other.x.size for other in panel.lines)
        least = max(1, -(-len(panel.lines) * longest // MOST_MARKS))
        # A short line has all its marks.
        step = least if line.x.size >= 4 * least else 1
        taken: NDArray[np.bool_] = np.arange(line.x.size) % step == self.looks[line.label] % step
        return taken

    @property
    def left(self) -> float:
        """Where steps begin on their logarithmic axis."""
        return 0.4 * min((float(line.x.min()) for line in self.lines if line.x.size), default=1.0)

    def path(self, line: Line, y: Floats) -> tuple[Floats, Floats]:
        """Return the positions and values that a line goes through: steps begin at the left end."""
        if not self.steps or not line.x.size:
            return line.x, y
        return np.append(self.left, line.x), np.append(y[:1], y)

    def value_range(self) -> tuple[float, float]:
        """Return the ends of the axis of values: the range of what was simulated, not that of a closed form."""
        if self.probability and not self.logarithmic:
            return -0.03, 1.03
        boxes = [b for panel in self.panels for b in panel.boxes]
        seen = [float(v) for line in self.lines for v in line.seen() if v > 0]
        seen += [v for b in boxes for v in (*b.quantiles, b.mean) if v > 0]
        highest = max([line.highest() for line in self.lines] + [max(b.high, *b.quantiles) for b in boxes], default=1.0)
        if not self.logarithmic:
            return 0.0, 1.05 * highest if highest > 0 else 1.0
        floor = max(10.0 ** math.floor(math.log10(min(seen, default=1e-3) * 0.8)), LOWEST)
        return floor, 1.3 if self.probability else max(1.5, 1.3 * highest)


def spread(values: Iterable[float]) -> bool:
    """Return whether positive values span so much that the axis should be logarithmic."""
    positive = [v for v in values if v > 0]
    return bool(positive) and max(positive) > MANY * min(positive)


def call_for_log_x(axis: Sequence[float]) -> bool:
    """Return whether positions on an axis do: all positive, and steps at one end many times those at the other."""
    x = np.unique(np.asarray(axis, dtype=np.float64))
    if x.size < 3 or x[0] <= 0:
        return False
    steps = np.diff(x)
    return bool(steps[-1] > MANY * steps[0] and x[-1] > MANY * x[0])


def panel_title(point: Point) -> str:
    """Return the title of a panel of a partition and a work model."""
    paradigm = PARADIGMS[point.part.paradigm]
    name = paradigm if point.partition == point.part.paradigm else f"{point.partition}: {paradigm}"
    return f"{name}, {point.workers.work} work"


def grid_of(points: Sequence[Point]) -> tuple[list[str], list[str]]:
    """Return the work models and the partitions that occur: the rows and columns of a grid of panels."""
    return list(dict.fromkeys(str(p.workers.work) for p in points)), list(dict.fromkeys(p.partition for p in points))


def looks_of(points: Sequence[Point], shown: Sequence[Point]) -> dict[str, int]:
    """Return the looks of the series of `shown` points among all `points`: numbers in order of first occurrence."""
    numbers = {label: i for i, label in enumerate(dict.fromkeys(p.series for p in points))}
    wanted = {p.series for p in shown}
    return {label: i for label, i in numbers.items() if label in wanted}


def left_out(points: Sequence[Point]) -> str:
    """Return the names of points that a chart cannot show, those of one panel together."""
    named: dict[tuple[str, str], list[str]] = {}
    for p in points:
        named.setdefault(p.panel, []).append(p.series)
    return "; ".join(f"{partition}, {work} work: {', '.join(labels)}" for (partition, work), labels in named.items())

"""A sweep as data: the points that are to be simulated, each of them complete in itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from uepgpu.codes import Code, ExpandingWindow, NonOverlappingWindow
from uepgpu.codes.law import packets_law
from uepgpu.specification.names import CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uepgpu.codes.supports import SupportLaw
    from uepgpu.partition import Partition
    from uepgpu.points.stop import StopRule
    from uepgpu.workers import Workers

__all__ = ["Panel", "Point", "Sweep", "code_name"]

Panel = tuple[str, str]


def code_name(code: Code) -> str:
    """Return what specifications call the code."""
    return next((name for name, kind in CODES.items() if isinstance(code, kind)), type(code).__name__)


@dataclass(frozen=True, eq=False)
class Point:
    """One simulation: everything that decides its result and nothing else.

    Attributes
    ----------
    series : str
        Label of its curve, unique within its panel.
    partition : str
        Name of the partition in the specification.
    code, part, workers
        As :func:`uepgpu.simulate` takes them.
    deadlines : tuple of float
    stop : StopRule
        When it has been simulated enough.
    seed : int
    rounds : int or None
        Of every trajectory; None for single rounds.
    """

    series: str
    partition: str
    code: Code
    part: Partition
    workers: Workers
    deadlines: tuple[float, ...]
    stop: StopRule
    seed: int
    rounds: int | None = None

    @property
    def realizations(self) -> int:
        """How many realizations it takes at most."""
        return self.stop.realizations

    @property
    def panel(self) -> Panel:
        """Partition and work model: the points that are compared with each other share them."""
        return self.partition, self.workers.work

    @property
    def code_name(self) -> str:
        """What specifications call the code."""
        return code_name(self.code)

    @cached_property
    def law(self) -> SupportLaw:
        """The code's law of supports, asked for once.

        Raises
        ------
        ValueError
            If the code does not fit the partition or the workers.
        """
        return packets_law(self.code, self.part, self.workers)

    @property
    def encoding(self) -> str:
        """The encoding that ``"auto"`` became."""
        return self.law.encoding

    @property
    def window(self) -> str:
        """What a factored code uses for its windows; empty for other encodings and codes."""
        if self.encoding == "factored" and isinstance(self.code, NonOverlappingWindow | ExpandingWindow):
            return self.code.window or ("level-pair" if isinstance(self.code, NonOverlappingWindow) else "max-rectangle")
        return ""

    def describe(self) -> str:
        """Return what people call the point."""
        return f"{self.series} ({self.partition}, {self.workers.work} work)"


@dataclass(frozen=True, eq=False)
class Sweep:
    """A named list of points.

    Attributes
    ----------
    name : str
        Short; names the output folder.
    title : str
        For the figure.
    points : sequence of Point
    show : tuple of float
        Deadlines that the printed table shows; empty for an even choice.
    text : str
        The specification as it was read.
    """

    name: str
    title: str
    points: Sequence[Point]
    show: tuple[float, ...] = ()
    text: str = ""

    @property
    def time_unit(self) -> str | None:
        """What the deadlines of all its points are measured in."""
        return next((p.workers.time_unit for p in self.points), None)

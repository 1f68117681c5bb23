"""A study of gradient coding as data: the curves that are to be simulated, each complete in itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.schemes import Scheme
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Convergence", "Study", "StudyPoint", "run_point"]


@dataclass(frozen=True, eq=False)
class StudyPoint:
    """One curve: a scheme on a data set, with everything that it is run with."""

    series: str
    data: str
    problem: Problem
    scheme: Scheme
    workers: Workers
    iterations: int
    step: float
    decay: float
    deadlines: tuple[float, ...]
    realizations: int
    seed: int

    def describe(self) -> str:
        """Return what a message calls this point."""
        return f"{self.series} ({self.data})"


@dataclass(frozen=True, eq=False)
class Study:
    """All points of a specification, and what is shown of them."""

    name: str
    title: str
    points: tuple[StudyPoint, ...]
    show: tuple[float, ...]
    show_iterations: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Convergence:
    """The results of a point: the Dataset of :func:`uepgpu.gradient_coding.descend`."""

    point: StudyPoint
    run: xr.Dataset


def run_point(point: StudyPoint, *, backend: str, threads: int | None, advance: Callable[[int, str], None]) -> Convergence:
    """Run all realizations of a point; `advance` is called with numbers of finished ones, and what the point is called."""
    from uepgpu.gradient_coding.descent import descend

    run = descend(
        point.problem,
        point.scheme,
        point.workers,
        iterations=point.iterations,
        realizations=point.realizations,
        seed=point.seed,
        step=point.step,
        decay=point.decay,
        deadlines=point.deadlines,
        backend=backend,
        threads=threads,
        progress=lambda count: advance(count, point.describe()),
    )
    return Convergence(point, run)

"""A study of gradient coding as data: the curves that are to be simulated, each complete in itself."""

from __future__ import annotations

from dataclasses import dataclass

from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.schemes import Scheme
from uepgpu.workers import Workers

__all__ = ["Study", "StudyPoint"]


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

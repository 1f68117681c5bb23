"""Running the points of a sweep in short ranges, so that an interrupted sweep keeps what is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uepgpu as uep
from uepgpu.decoders import resolve_decoder, resolve_tally
from uepgpu.plan import count_domain_refusal, make_plan
from uepgpu.sweep.point import Point

if TYPE_CHECKING:
    from uepgpu.tally import Tally

__all__ = ["Outcome", "Result", "check_points", "run_points"]

FIRST_RANGE = 1024
RANGE_SECONDS = 0.3
"""What an interruption can lose. Short for a person, long beside the milliseconds that a range costs to start."""

Progress = Callable[[Point, int], None]


@dataclass(frozen=True, eq=False)
class Result:
    """What was simulated of a point."""

    point: Point
    tally: Tally


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was simulated of a sweep.

    Attributes
    ----------
    results : sequence of Result
        In the order of the points; the last may have fewer realizations than its point asks for.
    missing : sequence of Point
        Those without any finished realization.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    results: Sequence[Result]
    missing: Sequence[Point]
    interrupted: bool


def check_points(points: Sequence[Point]) -> None:
    """Raise ``ValueError`` if a point cannot be simulated, before any of them is."""
    for point in points:
        try:
            plan = make_plan(point.code, point.part, point.workers, seed=point.seed, deadlines=_deadlines(point))
            resolve_tally(plan, resolve_decoder(plan, "auto"), "auto")
        except ValueError as error:
            raise ValueError(f"{point.describe()}: {error}") from None


def _deadlines(point: Point) -> tuple[float, ...] | None:
    """Return None where the count domain applies: it has the smaller variance."""
    return None if count_domain_refusal(point.code, point.part, point.workers) is None else point.deadlines


def run_points(
    points: Sequence[Point], *, backend: str = "auto", threads: int | None = None, progress: Progress | None = None
) -> Outcome:
    """Simulate the points one after another; a ``KeyboardInterrupt`` ends the run and keeps the finished ranges.

    Parameters
    ----------
    points : sequence of Point
    backend, threads
        As for :func:`uepgpu.simulate`. They cannot change a result, so they are no part of a point.
    progress : callable, optional
        Called with a point and the number of realizations finished since the last call.
    """
    results: list[Result] = []
    tally: Tally | None = None
    try:
        for point in points:
            tally = None
            for tally in _growing_tallies(point, backend, threads, progress):  # noqa: B007 - an interruption leaves the last one
                pass
            if tally is not None:
                results.append(Result(point, tally))
                tally = None
    except KeyboardInterrupt:
        if tally is not None:
            results.append(Result(points[len(results)], tally))
        return Outcome(tuple(results), tuple(points[len(results) :]), interrupted=True)
    return Outcome(tuple(results), (), interrupted=False)


def _growing_tallies(point: Point, backend: str, threads: int | None, progress: Progress | None) -> Iterator[Tally]:
    """Yield the tally of all realizations so far after each range."""
    deadlines = _deadlines(point)

    def report(count: int) -> None:
        if progress is not None:
            progress(point, count)

    total: Tally | None = None
    done, size = 0, FIRST_RANGE
    while done < point.realizations:
        size = min(size, point.realizations - done)
        began = time.perf_counter()
        tally = uep.simulate(
            point.code,
            point.part,
            point.workers,
            deadlines=deadlines,
            realizations=size,
            first_realization=done,
            seed=point.seed,
            backend=backend,
            threads=threads,
            progress=report,
        )
        total = tally if total is None else total + tally
        done += size
        yield total
        seconds = max(time.perf_counter() - began, 1e-6)
        # Bounded both ways: the first range of a process may contain a compilation.
        size = max(int(size * min(max(RANGE_SECONDS / seconds, 0.5), 8.0)), 1)

"""Running the points of a sweep without a file: in a store that lives in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uepgpu.points.identity import Identity, identify
from uepgpu.points.point import Point, Sweep
from uepgpu.store.store import Store
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.local import Local

if TYPE_CHECKING:
    from uepgpu.tally import Tally, Trajectories

__all__ = ["Outcome", "Result", "identify_all", "run_points"]

Progress = Callable[[Point, int], None]


@dataclass(frozen=True, eq=False)
class Result:
    """What was simulated of a point."""

    point: Point
    tally: Tally | Trajectories


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was simulated of a sweep.

    Attributes
    ----------
    results : sequence of Result
        In the order of the points; after an interruption some may have fewer realizations than their points ask for.
    missing : sequence of Point
        Those without any finished realization.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    results: Sequence[Result]
    missing: Sequence[Point]
    interrupted: bool


def identify_all(points: Sequence[Point]) -> list[Identity]:
    """Return the identities of the points; ``ValueError`` if one cannot be simulated, before any of them is."""
    identities = []
    for point in points:
        try:
            identities.append(identify(point))
        except ValueError as error:
            raise ValueError(f"{point.describe()}: {error}") from None
    return identities


def run_points(
    points: Sequence[Point], *, backend: str = "auto", threads: int | None = None, progress: Progress | None = None
) -> Outcome:
    """Simulate points until each has stopped; a ``KeyboardInterrupt`` ends the run and keeps the finished ranges.

    Parameters
    ----------
    points : sequence of Point
    backend, threads
        As for :func:`uepgpu.simulate`. They cannot change a result, so they are no part of a point.
    progress : callable, optional
        Called with a point and the number of realizations finished since the last call.
    """
    with Store(":memory:") as store:
        collection = Collection(store, Sweep("memory", "", points), identify_all(points))
        interrupted = False
        try:
            collection.run(Local(backend, threads), progress=progress or (lambda point, count: None))
        except KeyboardInterrupt:
            interrupted = True
        results, missing = [], []
        for i, point in enumerate(points):
            tally = collection.tally(i)
            if tally is None:
                missing.append(point)
            else:
                results.append(Result(point, tally))
    return Outcome(tuple(results), tuple(missing), interrupted)

"""One range of one point: what a process, a thread or a machine of a cluster runs, and hands back."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uepgpu import __version__
from uepgpu.monte_carlo import simulate
from uepgpu.points.notation import read_code, read_partition, read_workers

if TYPE_CHECKING:
    from uepgpu.backends import Devices
    from uepgpu.points.identity import Identity
    from uepgpu.tally import Tally, Trajectories

    Counted = Tally | Trajectories

__all__ = ["Ran", "Range", "Work", "describe_work", "run_range"]

RANGE_SECONDS = 1.0
"""A killed process loses at most so much; it is long compared with the milliseconds that starting and storing a range take."""
PILOT = 4096
PILOT_SECONDS = 0.25
SIZES = (10, 40)
"""Range sizes are powers of two between these."""


@dataclass(frozen=True)
class Work:
    """A point as text, for the process that is to run it.

    Attributes
    ----------
    code, part, workers : str
        See :mod:`uepgpu.points.notation`.
    deadlines : tuple of float or None
        Those that are simulated; None in the count domain.
    seed : int
    rounds : int or None
    """

    code: str
    part: str
    workers: str
    deadlines: tuple[float, ...] | None
    seed: int
    rounds: int | None = None


@dataclass(frozen=True)
class Range:
    """Realizations `start` .. `stop` - 1; with `size` None the runner may do a first part only, and proposes a size."""

    start: int
    stop: int
    size: int | None


@dataclass(frozen=True, eq=False)
class Ran:
    """The result of a range.

    Attributes
    ----------
    tally : Tally or Trajectories
    size : int or None
        The proposed range size, about a second's worth.
    provenance : str
        JSON of backend, device and versions.
    """

    tally: Counted
    size: int | None
    provenance: str


def describe_work(identity: Identity, seed: int) -> Work:
    """Return the work that simulates a point."""
    frame = json.loads(identity.frame)
    deadlines = tuple(json.loads(identity.deadlines)) if frame["domain"] == "deadline" else None
    return Work(identity.code, identity.part, identity.workers, deadlines, seed, frame.get("rounds"))


def run_range(
    work: Work,
    span: Range,
    *,
    backend: str = "auto",
    threads: int | None = None,
    devices: Devices = None,
    progress: Callable[[int], None] | None = None,
) -> Ran:
    """Simulate a range.

    Parameters
    ----------
    work : Work
    span : Range
    backend, threads, devices
        As for :func:`uepgpu.simulate`. They cannot change a count.
    progress : callable, optional
        Called with the number of realizations finished since the last call.
    """
    code, part, workers = read_code(work.code), read_partition(work.part), read_workers(work.workers)

    def run(first: int, count: int) -> Any:
        options: dict[str, Any] = {} if work.rounds is None else {"rounds": work.rounds}
        return simulate(
            code,
            part,
            workers,
            deadlines=work.deadlines,
            realizations=count,
            first_realization=first,
            seed=work.seed,
            backend=backend,
            threads=threads,
            devices=devices,
            progress=progress,
            **options,
        )

    if span.size is not None:
        tally = run(span.start, span.stop - span.start)
        return Ran(tally, None, provenance(tally.backend))
    tally, size = _pilot(run, span)
    return Ran(tally, size, provenance(tally.backend))


def _pilot(run: Callable[[int, int], Any], span: Range, clock: Callable[[], float] = time.perf_counter) -> tuple[Counted, int]:
    """Run growing pieces until one takes long enough to be a measure; return them as one tally, and the range size."""
    total: Any = None
    at, count, seconds = span.start, PILOT, 0.0
    while at < span.stop:
        count = min(count, span.stop - at)
        # The first piece may hold a compilation, so it is no measure if it was slow.
        began = clock()
        tally = run(at, count)
        seconds = clock() - began
        total = tally if total is None else total + tally
        at += count
        if seconds >= PILOT_SECONDS and at > span.start + count:
            break
        count *= 8 if seconds < PILOT_SECONDS / 8 else 2 if seconds < PILOT_SECONDS else 1
    assert total is not None
    exponent = round(math.log2(max(count * RANGE_SECONDS / max(seconds, 1e-9), 1.0)))
    return total, 1 << min(max(exponent, SIZES[0]), SIZES[1])


def provenance(backend: str) -> str:
    """Return JSON of what computes on this machine."""
    device = _gpu() if "cuda" in backend else _processor()
    return json.dumps({"backend": backend, "device": device, "version": _versions()}, sort_keys=True)


@cache
def _versions() -> str:
    packages = ("numpy", "numba")
    return ", ".join([f"uepgpu {__version__}", *(f"{p} {metadata.version(p)}" for p in packages)])


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def _gpu() -> str:
    from uepgpu_kernels.cuda import describe

    return "; ".join(describe())

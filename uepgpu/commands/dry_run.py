"""What a sweep would do: its points, what is stored of them, what they will cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uepgpu.commands.progress import duration
from uepgpu.console import Table, show
from uepgpu.sweep.ranges import Range, describe_work, run_range

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from uepgpu.commands.options import SweepOptions
    from uepgpu.points.identity import Identity
    from uepgpu.points.point import Sweep

__all__ = ["Planned", "plan_sweep", "print_plan"]

TIMED = 1024
ENOUGH_SECONDS = 0.05
MOST_SECONDS = 30.0
"""Cost estimates stop here; points that have none by then take that of the slowest."""


@dataclass(frozen=True)
class Planned:
    """A point before it runs.

    Attributes
    ----------
    name, id : str
    tally : str
        Id of the tally, by which points share realizations.
    stored, most : int
        Realizations that are in the store, and that the stop rule allows.
    stopped : bool
        Whether the stop rule is known to be met.
    rate : float or None
        Realizations a second, measured briefly; None for points that need none.
    """

    name: str
    id: str
    tally: str
    stored: int
    most: int
    stopped: bool
    rate: float | None

    @property
    def seconds(self) -> float:
        """What it will take at most."""
        return 0.0 if self.stopped or self.rate is None else max(self.most - self.stored, 0) / self.rate


def plan_sweep(sweep: Sweep, identities: Sequence[Identity], path: Path, options: SweepOptions) -> list[Planned]:
    """Return what would be done, in the order of the points; nothing is written.

    Parameters
    ----------
    sweep : Sweep
    identities : sequence of Identity
    path : Path
        The store, which may not exist.
    options : SweepOptions
    """
    from uepgpu.store.stored import read_progress

    progress = read_progress(path) if path.exists() else {}
    rates: dict[str, float] = {}
    began, planned = time.perf_counter(), []
    for point, identity in zip(sweep.points, identities, strict=True):
        stored, verdicts = progress.get(identity.tally, (0, {}))
        verdict = verdicts.get((identity.point, point.stop.to_json()))
        stopped = verdict is not None or (point.stop.fixed and stored >= point.stop.realizations)
        if not stopped and identity.tally not in rates:
            if time.perf_counter() - began < MOST_SECONDS:
                rates[identity.tally] = _rate(identity, point.seed, options)
            else:
                rates[identity.tally] = min(rates.values())
        rate = None if stopped else rates[identity.tally]
        planned.append(Planned(point.describe(), identity.point, identity.tally, stored, point.stop.realizations, stopped, rate))
    return planned


def _rate(identity: Identity, seed: int, options: SweepOptions) -> float:
    """Return realizations a second, by running some that are thrown away."""
    work, count = describe_work(identity, seed), TIMED
    run_range(work, Range(0, count, count), backend=options.backend, threads=options.threads)  # compiles
    while True:
        ran = run_range(work, Range(0, count, count), backend=options.backend, threads=options.threads)
        if ran.tally.seconds >= ENOUGH_SECONDS or count >= 1 << 24:
            return count / max(ran.tally.seconds, 1e-9)
        count *= 8


def print_plan(planned: Sequence[Planned], path: Path) -> None:
    """Print the points, and the whole; points that share a tally are counted once."""
    rows = []
    for p in planned:
        rate = "–" if p.rate is None else f"{p.rate:.2e}"
        takes = "done" if p.stopped else duration(p.seconds)
        rows.append((p.name, p.id[:10], p.tally[:10], f"{p.stored:,}", f"{p.most:,}", rate, takes))
    longest: dict[str, float] = {}
    for p in planned:
        longest[p.tally] = max(longest.get(p.tally, 0.0), p.seconds)
    whole = (
        f"{len(planned)} points, {len(longest)} tallies (points of one tally share its realizations), "
        f"{sum(p.stopped for p in planned)} done; at most {duration(sum(longest.values()))} on this machine\n"
        "Points with one seed share random numbers, so that they compare better than each is known.\n"
        f"Store   {path}{'' if path.exists() else '  (not there yet)'}"
    )
    header = ("point", "id", "tally", "stored", "at most", "realizations/s", "takes at most")
    show([Table(rows, header, text=(0, 1, 2)), whole])

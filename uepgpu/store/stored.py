"""Reading a store: points as they were described, with everything that has been counted of them.

What holds:

* :func:`read_points` needs the file alone, neither the specification nor the matrix files, and works in a read-only folder and
  while other processes write. It returns each point of each sweep once, in the order of the sweeps.
* ``.point`` is equal to the point that was simulated in everything that decides its result; ``.point.part.matrices`` is None
  (its Gram matrix is there, to the bit). ``uepgpu.theory``, :meth:`Tally.loss`, ``curve_of(stored)`` and ``decode_times`` take it.
* ``.tally`` is every stored realization of the point's tally, merged: what :func:`uepgpu.simulate` would return for
  ``.tally.ranges``. Points that share a tally show the same counts. Points without a finished range are left out.
* ``.id`` is the SHA-256 of tally and evaluation, labels apart; its first characters will do where they are unique.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uepgpu import __version__
from uepgpu.checks import deadlines_array, finite, integer, shown
from uepgpu.points.notation import read_code, read_partition, read_workers
from uepgpu.points.point import Point
from uepgpu.points.stop import MOST_REALIZATIONS, StopRule
from uepgpu.store import tables
from uepgpu.store.errors import StoreError
from uepgpu.store.merged import merged
from uepgpu.store.opening import reading
from uepgpu.store.rows import Rows
from uepgpu.store.spans import CountedRange, add_up
from uepgpu.tally import Tally, Trajectories
from uepgpu.text import printable
from uepgpu.workers.laws import checked_time_unit

__all__ = [
    "StoredPoint",
    "StoredSweep",
    "find_point",
    "iterate_points",
    "points_of",
    "read_points",
    "read_progress",
    "read_sweeps",
    "sweeps_of",
]

SHORT = 10
"""Characters of an id that people are shown."""


@dataclass(frozen=True, eq=False)
class StoredPoint:
    """A point of a store with what has been counted.

    Attributes
    ----------
    id : str
        SHA-256 of the tally and its evaluation, 64 hexadecimal characters.
    tally_id : str
        SHA-256 of what the kernel saw.
    sweep : str
        Name of the sweep that it is from.
    point : Point
    tally : Tally, or Trajectories of a point with rounds
        Everything that is stored.
    stop_reason : str
        Why it stopped; empty while it has not.
    progress : str
        What the stop rule said when it last looked; empty if it never has.
    seconds : float
        What its ranges took, together.
    backends, devices, versions : tuple of str
        What computed them.
    """

    id: str
    tally_id: str
    sweep: str
    point: Point
    tally: Tally | Trajectories
    stop_reason: str
    progress: str
    seconds: float
    backends: tuple[str, ...]
    devices: tuple[str, ...]
    versions: tuple[str, ...]

    def called(self, sweep: str, point: Point) -> StoredPoint:
        """Return it by the labels that a sweep has for an equal point: series, partition and the unit of time."""
        mine = replace(self.point, series=point.series, partition=point.partition, workers=point.workers)
        return replace(self, sweep=sweep, point=mine, tally=self.tally.measured_in(point.workers.time_unit))

    @property
    def short_id(self) -> str:
        """The first ten characters of the id."""
        return self.id[:SHORT]


@dataclass(frozen=True)
class StoredSweep:
    """A sweep of a store.

    Attributes
    ----------
    name, title : str
    text : str
        The specification, as TOML.
    options : dict
        What the command line changed in it.
    show : tuple of float
        Deadlines that tables prefer.
    version : str
        Of the uepgpu that entered it.
    started : float
        Seconds since 1970.
    points : tuple of str
        Ids of all its points, also of those without a finished range.
    time_unit : str or None
        What deadlines are measured in.
    """

    name: str
    title: str
    text: str
    options: dict[str, Any]
    show: tuple[float, ...]
    version: str
    started: float
    points: tuple[str, ...]
    time_unit: str | None = None


def read_sweeps(path: Path | str) -> list[StoredSweep]:
    """Return the sweeps of a store, oldest first.

    Raises
    ------
    StoreError
        If the file is no store that can be read; one line that says what to do.
    """
    with reading(path) as rows:
        return sweeps_of(rows)


def sweeps_of(rows: Rows) -> list[StoredSweep]:
    """Return what :func:`read_sweeps` does, of an open store."""
    points: dict[int, list[str]] = {}
    for member in rows.select(tables.Member, "ORDER BY sweep, position"):
        points.setdefault(member.sweep, []).append(rows.get(tables.Point, member.point).id)
    with understood(rows):
        return [
            StoredSweep(
                printable(row.name),
                printable(row.title),
                printable(row.text, keep="\n\t"),
                {printable(name): _option(value) for name, value in json.loads(row.options).items() if name != tables.TIME_UNIT},
                tuple(finite("show", t) for t in json.loads(row.show)),
                printable(row.version),
                row.started,
                tuple(points.get(row.key, ())),
                _time_unit(row),
            )
            for row in rows.select(tables.Sweep, "ORDER BY key")
        ]


def _time_unit(row: tables.Sweep) -> str | None:
    return checked_time_unit(json.loads(row.options).get(tables.TIME_UNIT))


def _option(value: Any) -> Any:
    return value if isinstance(value, int | float | None) else printable(str(value))


@contextmanager
def understood(rows: Rows) -> Iterator[None]:
    """Turn what a description that this version does not know raises into a :class:`StoreError`."""
    try:
        yield
    except StoreError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, OverflowError) as error:
        what = " ".join(printable(str(error)).split())[:100]
        raise rows.damage(f"it holds a description that uepgpu {__version__} cannot read: {type(error).__name__} {what}") from None


def read_points(path: Path | str, *, sweep: str | None = None) -> list[StoredPoint]:
    """Return the points of a store that have a finished range; what holds of them is said at the top of this module.

    Parameters
    ----------
    path : path
    sweep : str, optional
        Name of the sweep to read. Default: all.

    Raises
    ------
    StoreError
        If the file is no store that can be read, or has no sweep of that name; one line that says what to do.
    """
    return list(iterate_points(path, sweep=sweep))


def iterate_points(path: Path | str, *, sweep: str | None = None) -> Iterator[StoredPoint]:
    """Yield what :func:`read_points` returns, one at a time: for stores that do not fit in memory."""
    with reading(path) as rows:
        yield from points_of(rows, sweep)


def points_of(rows: Rows, sweep: str | None) -> Iterator[StoredPoint]:
    """Yield what :func:`read_points` returns, of an open store."""
    sweeps = {row.key: row for row in rows.select(tables.Sweep)}
    names = {key: printable(row.name) for key, row in sweeps.items()}
    if sweep is not None and sweep not in names.values():
        known = ", ".join(dict.fromkeys(names.values())) or "none"
        raise StoreError(f"store {str(rows.path)!r} has no sweep {shown(sweep)}, only {known}")
    # A sweep that is run again after a change has another row; the latest says what a point is called and when it stops.
    chosen: dict[tuple[int, str, str], tuple[str, int, int]] = {}
    for member in rows.select(tables.Member, "ORDER BY sweep, position"):
        name = names.get(member.sweep)
        if name is None:
            raise rows.damage(f"row {member.sweep} of table 'sweep' is missing")
        if sweep in (None, name):
            chosen[member.point, member.series, member.partition] = (name, member.rule, member.sweep)
    held: tuple[int, CountedRange | None] = (-1, None)
    for (key, series, partition), (name, rule, of_sweep) in chosen.items():
        row = rows.get(tables.Point, key)
        if row.tally != held[0]:
            held = (row.tally, add_up(rows, row.tally, MOST_REALIZATIONS))
        if held[1] is not None:
            names_shown = (name, printable(series), printable(partition))
            with understood(rows):
                stored = _stored(rows, row, rule, names_shown, held[1], _time_unit(sweeps[of_sweep]))
            yield stored


def read_progress(path: Path | str) -> dict[str, tuple[int, dict[tuple[str, str], str]]]:
    """Return, by tally id, the stored realizations and the reasons of the (point id, rule as text) that have stopped."""
    with reading(path) as rows:
        ids = {row.key: row.id for row in rows.select(tables.Tally)}
        found: dict[str, tuple[int, dict[tuple[str, str], str]]] = {}
        for span in rows.select(tables.Span):
            count, reasons = found.get(ids[span.tally], (0, {}))
            found[ids[span.tally]] = count + span.stop - span.start, reasons
        for verdict in rows.select(tables.Verdict, "WHERE stopped"):
            point = rows.get(tables.Point, verdict.point)
            if ids[point.tally] in found:
                found[ids[point.tally]][1][point.id, rows.text(verdict.rule)] = verdict.reason
    return found


def find_point(points: Sequence[StoredPoint], prefix: str) -> StoredPoint:
    """Return the point whose id begins with `prefix`.

    Raises
    ------
    ValueError
        If none does, or several do.
    """
    found = {p.id: p for p in points if p.id.startswith(prefix.lower())} if prefix else {}
    if len(found) != 1:
        many = f"{len(found)} points have ids that begin so" if found else "no point has an id that begins so"
        shown = ", ".join(f"{p.short_id} {p.point.describe()}" for p in list(found.values() or points)[:8])
        raise ValueError(f"POINT must be the beginning of one point's id, got {prefix!r}: {many}; there are {shown}")
    return next(iter(found.values()))


@functools.lru_cache(maxsize=256)
def _part(text: str) -> Any:
    return read_partition(text)


def _stored(
    rows: Rows, row: tables.Point, rule: int, names: tuple[str, str, str], counted: CountedRange, time_unit: str | None
) -> StoredPoint:
    frame_text, code, part, workers, times = (rows.text(key) for key in (row.frame, row.code, row.part, row.workers, row.deadlines))
    frame: dict[str, Any] = {
        name: printable(value) if isinstance(value, str) else value for name, value in json.loads(frame_text).items()
    }
    verdict = rows.find(tables.Verdict, point=row.key, rule=rule)
    deadlines = tuple(json.loads(times))
    deadlines_array(deadlines)
    point = Point(
        series=names[1],
        partition=names[2],
        code=read_code(code),
        part=_part(part),
        workers=replace(read_workers(workers), time_unit=time_unit),
        deadlines=deadlines,
        stop=StopRule.from_json(rows.text(rule)),
        seed=integer("seed", frame["seed"], 0),
        rounds=None if "rounds" not in frame else integer("rounds", frame["rounds"], 1),
    )
    sources = [json.loads(text) for text in counted.provenance]
    backends, devices, versions = (
        tuple(dict.fromkeys(printable(s[name]) for s in sources)) for name in ("backend", "device", "version")
    )
    return StoredPoint(
        id=_identifier(row.id),
        tally_id=_identifier(rows.get(tables.Tally, row.tally).id),
        sweep=names[0],
        point=point,
        tally=merged(frame, point, counted),
        stop_reason=printable(verdict.reason) if verdict and verdict.stopped else "",
        progress=printable(verdict.reason) if verdict else "",
        seconds=counted.seconds,
        backends=backends,
        devices=devices,
        versions=versions,
    )


def _identifier(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError("an id that is no SHA-256")
    return text

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
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uepgpu.plan import possible_counts
from uepgpu.points.notation import read_code, read_partition, read_workers
from uepgpu.points.point import Point
from uepgpu.points.stop import MOST_REALIZATIONS, StopRule
from uepgpu.store.errors import StoreError, translated
from uepgpu.store.opening import open_reading
from uepgpu.store.spans import CountedRange, add_up
from uepgpu.tally import Tally

__all__ = ["StoredPoint", "StoredSweep", "find_point", "iterate_points", "read_points", "read_progress", "read_sweeps"]

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
    tally : Tally
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
    tally: Tally
    stop_reason: str
    progress: str
    seconds: float
    backends: tuple[str, ...]
    devices: tuple[str, ...]
    versions: tuple[str, ...]

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
    """

    name: str
    title: str
    text: str
    options: dict[str, Any]
    show: tuple[float, ...]
    version: str
    started: float
    points: tuple[str, ...]


@contextmanager
def _reading(path: Path | str) -> Iterator[sqlite3.Connection]:
    with translated(path), closing(open_reading(path)) as db:
        db.execute("BEGIN")  # one consistent view, whatever is written meanwhile
        yield db


def read_sweeps(path: Path | str) -> list[StoredSweep]:
    """Return the sweeps of a store, oldest first.

    Raises
    ------
    StoreError
        If the file is no store that can be read; one line that says what to do.
    """
    with _reading(path) as db:
        rows = db.execute("SELECT key, name, title, text, options, show, version, started FROM sweep ORDER BY key").fetchall()
        members = "SELECT id FROM member JOIN point ON point.key = member.point WHERE sweep = ? ORDER BY position"
        return [
            StoredSweep(
                name,
                title,
                text,
                json.loads(options),
                tuple(json.loads(show)),
                version,
                started,
                tuple(i for (i,) in db.execute(members, (key,))),
            )
            for key, name, title, text, options, show, version, started in rows
        ]


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
    with _reading(path) as db:
        names = [name for (name,) in db.execute("SELECT DISTINCT name FROM sweep")]
        if sweep is not None and sweep not in names:
            raise StoreError(f"store {str(path)!r} has no sweep {sweep!r}, only {', '.join(names) or 'none'}")
        # A sweep that is run again after a change has another row; the latest says what a point is called and when it stops.
        chosen: dict[tuple[int, str, str], tuple[str, int]] = {}
        rows = db.execute(
            "SELECT point, series, partition, name, rule FROM member JOIN sweep ON sweep.key = sweep "
            "WHERE ? IS NULL OR name = ? ORDER BY sweep, position",
            (sweep, sweep),
        )
        for point, series, partition, name, rule in rows:
            chosen[point, series, partition] = (name, rule)
        held: tuple[int, CountedRange | None] = (-1, None)
        for (point, series, partition), (name, rule) in chosen.items():
            tally = db.execute("SELECT tally FROM point WHERE key = ?", (point,)).fetchone()[0]
            if tally != held[0]:
                held = (tally, add_up(db, path, tally, MOST_REALIZATIONS))
            if held[1] is not None:
                yield _stored(db, point, rule, (name, series, partition), held[1])


def read_progress(path: Path | str) -> dict[str, tuple[int, dict[tuple[str, str], str]]]:
    """Return, by tally id, the stored realizations and the reasons of the (point id, rule as text) that have stopped."""
    with _reading(path) as db:
        stored = db.execute("SELECT id, SUM(stop - start) FROM tally JOIN span ON span.tally = tally.key GROUP BY id")
        found: dict[str, tuple[int, dict[tuple[str, str], str]]] = {tally: (count, {}) for tally, count in stored}
        for tally, point, rule, reason in db.execute(
            "SELECT tally.id, point.id, text, reason FROM verdict JOIN point ON point.key = point JOIN tally ON tally.key = tally "
            "JOIN piece ON piece.key = rule WHERE stopped"
        ):
            found[tally][1][point, rule] = reason
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


_TEXTS = (
    "SELECT point.id, tally.id, frame.text, code.text, part.text, workers.text, deadlines.text FROM point "
    "JOIN tally ON tally.key = tally JOIN piece AS frame ON frame.key = frame JOIN piece AS code ON code.key = code "
    "JOIN piece AS part ON part.key = part JOIN piece AS workers ON workers.key = workers "
    "JOIN piece AS deadlines ON deadlines.key = deadlines WHERE point.key = ?"
)


def _stored(db: sqlite3.Connection, key: int, rule_key: int, names: tuple[str, str, str], counted: CountedRange) -> StoredPoint:
    point_id, tally_id, frame_text, code, part, workers, times = db.execute(_TEXTS, (key,)).fetchone()
    frame = json.loads(frame_text)
    rule = db.execute("SELECT text FROM piece WHERE key = ?", (rule_key,)).fetchone()[0]
    verdict = db.execute("SELECT stopped, reason FROM verdict WHERE point = ? AND rule = ?", (key, rule_key)).fetchone()
    point = Point(
        series=names[1],
        partition=names[2],
        code=read_code(code),
        part=_part(part),
        workers=read_workers(workers),
        deadlines=tuple(json.loads(times)),
        stop=StopRule.from_json(rule),
        seed=frame["seed"],
    )
    sources = [json.loads(text) for text in counted.provenance]
    backends, devices, versions = (tuple(dict.fromkeys(s[name] for s in sources)) for name in ("backend", "device", "version"))
    return StoredPoint(
        id=point_id,
        tally_id=tally_id,
        sweep=names[0],
        point=point,
        tally=merged(frame, point, counted),
        stop_reason=verdict[1] if verdict and verdict[0] else "",
        progress=verdict[1] if verdict else "",
        seconds=counted.seconds,
        backends=backends,
        devices=devices,
        versions=versions,
    )


def merged(frame: dict[str, Any], point: Point, counted: CountedRange) -> Tally:
    """Return the tally of a point from the sum of its stored ranges and the fields that counts do not hold."""
    backends = sorted({name for text in counted.provenance for name in json.loads(text)["backend"].split("+")})
    return Tally(
        **frame,
        backend="+".join(backends),
        deadlines=np.asarray(point.deadlines) if frame["domain"] == "deadline" else None,
        classes=point.part.classes,
        patterns=counted.patterns,
        pairs=counted.pairs,
        marginals=None,
        ranges=counted.ranges,
        seconds=counted.seconds,
        possible=possible_counts(
            point.law, point.part.classes, frame["n_packets"], "patterns" if frame["class_wise"] else "pairs", frame["decoder"]
        ),
    )

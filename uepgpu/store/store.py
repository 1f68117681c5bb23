"""The store of a sweep: one SQLite file in which every finished range of realizations is safe.

What holds, whatever happens to the processes that write:

* A finished range is one transaction with the disk's word for it (WAL, synchronous = FULL). A process that is killed loses the
  ranges that it was running, and nothing else.
* Ranges of one tally never overlap: a trigger refuses a second one. They add up: counts are checked against their range and
  a checksum when they are written and whenever they are read.
* Several processes share a store by claims: whoever claims a range runs it, others take the next. Claims are a courtesy that
  saves work; correctness rests on the trigger alone. Claims of the dead are taken over (:mod:`uepgpu.store.ownership`).
* Everything that a result needs is in the file: descriptions, specification, rules, verdicts, who computed what, when, with
  which versions.

A file must not be shared by machines through a network file system: SQLite's WAL needs shared memory. Machines work together
through dask, or each on a store of its own and ``uepgpu combine``.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uepgpu import __version__
from uepgpu.points.stop import Verdict
from uepgpu.store import ownership
from uepgpu.store.counts import CountsError, Ints, pack, unpack
from uepgpu.store.schema import StoreError, damaged, open_writing, translated

if TYPE_CHECKING:
    from uepgpu.points.identity import Identity
    from uepgpu.points.point import Sweep
    from uepgpu.tally import Tally

__all__ = ["Claim", "CountedRange", "Store", "StoredMember", "add_up"]

INSERT_SPAN = (
    "INSERT INTO span (tally, start, stop, counts, checksum, seconds, provenance, finished) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_SWEEP = (
    "INSERT OR IGNORE INTO sweep (name, title, text, show, options, digest, version, started) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
FIND_SWEEP = "SELECT key FROM sweep WHERE (name, title, text, show, options, digest) = (?, ?, ?, ?, ?, ?)"
BEAT_SECONDS = 10.0
JOINED = 16
"""So many neighbours become one row when a checkpoint is passed, so that files and checkpoints stay small."""


@dataclass(frozen=True)
class Claim:
    """A range that this process is to run: realizations `start` .. `stop` - 1 of a tally.

    `size` is the tally's range size, None if nobody has estimated it; then any first part of the range may be handed in.
    """

    tally: int
    start: int
    stop: int
    size: int | None


@dataclass(frozen=True)
class StoredMember:
    """A point of a sweep in the store, by the keys of its rows."""

    point: int
    tally: int
    rule: int


@dataclass(frozen=True, eq=False)
class CountedRange:
    """The sum of stored ranges of one tally."""

    patterns: Ints
    pairs: Ints | None
    ranges: tuple[tuple[int, int], ...]
    seconds: float
    provenance: tuple[str, ...]


class Store:
    """A store opened to be written; a context manager.

    Parameters
    ----------
    path : path or ":memory:"

    Raises
    ------
    StoreError
        If it cannot be used; the message says why and what to do. Nothing is changed then.

    Examples
    --------
    >>> with Store(":memory:") as store:
    ...     store.realizations()
    0
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._db = open_writing(path)
        self._pieces: dict[str, int] = {}
        self._beaten = 0.0
        with translated(path), self._transaction():
            made = f"uepgpu {__version__}"
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('made by', ?)", (made,))
            row = (ownership.host(), ownership.this_process(), time.time())
            self._owner = self._db.execute("INSERT INTO owner (host, process, beat) VALUES (?, ?, ?)", row).lastrowid

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is claimed, and close the file."""
        try:
            with self._transaction():
                self._db.execute("DELETE FROM claim WHERE owner = ?", (self._owner,))
                self._db.execute("DELETE FROM owner WHERE key = ?", (self._owner,))
        except sqlite3.DatabaseError:
            # A full or broken disk has been reported by whatever met it first; a claim that stays is one of a dead process.
            pass
        finally:
            self._db.close()

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[None]:
        # What is not durable can be lost with the power, never be half there: claims, verdicts, descriptions come again.
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.rollback()
            raise

    # --- sweeps and points ----------------------------------------------------------------------------------------

    def add_sweep(self, sweep: Sweep, identities: Sequence[Identity], options: dict[str, Any] | None = None) -> list[StoredMember]:
        """Enter a sweep with its points, unless they are in; return their keys in the order of the points.

        Parameters
        ----------
        sweep : Sweep
        identities : sequence of Identity
            Of its points.
        options : dict, optional
            What the command line changed in the specification.
        """
        with translated(self.path), self._transaction(durable=True):
            asked = "\n".join(f"{i.point} {p.series} {p.stop.id}" for i, p in zip(identities, sweep.points, strict=True))
            digest = hashlib.sha256(asked.encode()).hexdigest()
            options_text = json.dumps(options or {}, sort_keys=True)
            row = (sweep.name, sweep.title, sweep.text, json.dumps(sweep.show), options_text, digest)
            self._db.execute(INSERT_SWEEP, (*row, __version__, time.time()))
            key = self._db.execute(FIND_SWEEP, row).fetchone()[0]
            members = [
                StoredMember(*self._add_point(identity), self._piece(point.stop.to_json()))
                for point, identity in zip(sweep.points, identities, strict=True)
            ]
            self._db.executemany(
                "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (key, position, member.point, point.series, point.partition, member.rule)
                    for position, (member, point) in enumerate(zip(members, sweep.points, strict=True))
                ),
            )
        return members

    def left_over(self, name: str, members: Sequence[StoredMember]) -> int:
        """Return how many points of sweeps called `name` are none of `members`."""
        query = "SELECT DISTINCT point FROM member JOIN sweep ON sweep.key = sweep WHERE name = ?"
        with translated(self.path):
            return len({point for (point,) in self._db.execute(query, (name,))} - {m.point for m in members})

    def _add_point(self, identity: Identity) -> tuple[int, int]:
        found = self._db.execute("SELECT key, tally FROM point WHERE id = ?", (identity.point,)).fetchone()
        if found:
            return found[0], found[1]
        self._db.execute(
            "INSERT OR IGNORE INTO tally (id, kind, times, classes, subproducts) VALUES (?, ?, ?, ?, ?)",
            (identity.tally, identity.kind, *identity.shape),
        )
        tally = self._db.execute("SELECT key FROM tally WHERE id = ?", (identity.tally,)).fetchone()[0]
        texts = (identity.frame, identity.code, identity.part, identity.workers, identity.deadlines)
        point = self._db.execute(
            "INSERT INTO point (id, tally, frame, code, part, workers, deadlines) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (identity.point, tally, *map(self._piece, texts)),
        ).lastrowid
        assert point is not None
        return point, tally

    def _piece(self, text: str) -> int:
        if text not in self._pieces:
            digest = hashlib.sha256(text.encode()).digest()
            self._db.execute("INSERT OR IGNORE INTO piece (sha256, text) VALUES (?, ?)", (digest, text))
            key = self._db.execute("SELECT key FROM piece WHERE sha256 = ?", (digest,)).fetchone()[0]
            if len(self._pieces) > 4096:  # memory stays flat
                self._pieces.clear()
            self._pieces[text] = key
        return self._pieces[text]

    # --- ranges ---------------------------------------------------------------------------------------------------

    def claim(self, tally: int, upto: int) -> Claim | None:
        """Claim the first free range of a tally below `upto`; None if all is stored or claimed by live processes."""
        with translated(self.path), self._transaction():
            self._bury_the_dead()
            size = self._db.execute("SELECT range_size FROM tally WHERE key = ?", (tally,)).fetchone()[0]
            gap = next(self._gaps(tally, upto), None)
            if gap is None:
                return None
            start, stop = gap
            if size is not None:
                # Cells of a fixed grid, so that processes that share a tally do not cut each other's ranges to pieces.
                stop = min(stop, (start // size + 1) * size)
            self._db.execute("INSERT INTO claim VALUES (?, ?, ?, ?)", (tally, start, stop, self._owner))
        return Claim(tally, start, stop, size)

    def _gaps(self, tally: int, upto: int) -> Iterator[tuple[int, int]]:
        query = (
            "SELECT start, stop FROM span WHERE tally = ? AND start < ? UNION ALL SELECT start, stop FROM claim WHERE tally = ? "
        )
        at = 0
        for start, stop in self._db.execute(query + "AND start < ? ORDER BY 1", (tally, upto, tally, upto)):
            if start > at:
                yield at, start
            at = max(at, stop)
        if at < upto:
            yield at, upto

    def _bury_the_dead(self) -> None:
        others = self._db.execute("SELECT key, host, process, beat FROM owner WHERE key != ?", (self._owner,)).fetchall()
        for key, host, process, beat in others:
            if ownership.is_dead(host, process, beat):
                self._db.execute("DELETE FROM claim WHERE owner = ?", (key,))
                self._db.execute("DELETE FROM owner WHERE key = ?", (key,))

    def beat(self) -> None:
        """Tell the other processes that this one is alive; call it often, it writes every 10 s."""
        now = time.time()
        if now - self._beaten > BEAT_SECONDS:
            self._beaten = now
            with translated(self.path), self._transaction():
                self._db.execute("UPDATE owner SET beat = ? WHERE key = ?", (now, self._owner))

    def release(self, claim: Claim) -> None:
        """Give back a range that has not been run."""
        with translated(self.path), self._transaction():
            self._release(claim)

    def _release(self, claim: Claim) -> None:
        row = (claim.tally, claim.start, self._owner)
        self._db.execute("DELETE FROM claim WHERE tally = ? AND start = ? AND owner = ?", row)

    def finish(self, claim: Claim, tally: Tally, provenance: str, range_size: int | None = None) -> bool:
        """Store what was counted in a claimed range, and give the claim back; both or neither.

        Parameters
        ----------
        claim : Claim
        tally : Tally
            Of realizations from the start of the claim on.
        provenance : str
            JSON of backend, device and versions.
        range_size : int, optional
            What whoever ran it proposes for the next ranges; the first proposal stands.

        Returns
        -------
        bool
            False if the range is stored already, by a process that took this one for dead: then nothing is added.
        """
        ((start, stop),) = tally.ranges
        assert claim.start == start < stop <= claim.stop, "a range that was not claimed"
        blob, checksum = pack(tally.patterns, tally.pairs)
        row = (claim.tally, start, stop, blob, checksum, tally.seconds)
        stored = True
        with translated(self.path), self._transaction(durable=True):
            try:
                self._db.execute(INSERT_SPAN, (*row, self._piece(provenance), time.time()))
            except sqlite3.IntegrityError as error:
                if "stored twice" not in str(error):
                    raise
                stored = False
            if range_size is not None:
                self._db.execute("UPDATE tally SET range_size = ? WHERE key = ? AND range_size IS NULL", (range_size, claim.tally))
            self._release(claim)
        return stored

    def covered(self, tally: int, upto: int) -> int:
        """Return how many of the realizations 0 .. `upto` - 1 are stored."""
        query = "SELECT COALESCE(SUM(MIN(stop, ?) - start), 0) FROM span WHERE tally = ? AND start < ?"
        with translated(self.path):
            return int(self._db.execute(query, (upto, tally, upto)).fetchone()[0])

    def all_covered(self) -> dict[int, int]:
        """Return how many realizations of every tally are stored."""
        with translated(self.path):
            return dict(self._db.execute("SELECT tally, SUM(stop - start) FROM span GROUP BY tally"))

    def claimable(self, tally: int, upto: int) -> bool:
        """Return whether something below `upto` is neither stored nor claimed."""
        with translated(self.path):
            return next(self._gaps(tally, upto), None) is not None

    def realizations(self) -> int:
        """Return how many realizations the store holds."""
        with translated(self.path):
            return int(self._db.execute("SELECT COALESCE(SUM(stop - start), 0) FROM span").fetchone()[0])

    def counted(self, tally: int, upto: int) -> CountedRange | None:
        """Return the sum of the stored ranges that begin below `upto`; None if there are none."""
        with translated(self.path):
            return add_up(self._db, self.path, tally, upto)

    def ranges(self, tally: int) -> tuple[tuple[int, int], ...]:
        """Return which realizations of a tally are stored, neighbours joined."""
        joined: list[tuple[int, int]] = []
        with translated(self.path):
            for start, stop in self._db.execute("SELECT start, stop FROM span WHERE tally = ? ORDER BY start", (tally,)):
                if joined and joined[-1][1] == start:
                    joined[-1] = (joined[-1][0], stop)
                else:
                    joined.append((start, stop))
        return tuple(joined)

    def join(self, tally: int, upto: int) -> None:
        """Make one row of the ranges of a tally below `upto` that are neighbours and have one origin; the sum is the same."""
        query = "SELECT key, start, stop, seconds, provenance, finished FROM span WHERE tally = ? AND stop <= ? ORDER BY start"
        with translated(self.path), self._transaction(durable=True):
            runs: list[list[tuple[Any, ...]]] = []
            for row in self._db.execute(query, (tally, upto)):
                if runs and runs[-1][-1][2] == row[1] and runs[-1][-1][4] == row[4]:
                    runs[-1].append(row)
                else:
                    runs.append([row])
            for run in runs:
                if len(run) >= JOINED:
                    self._join(tally, run)

    def _join(self, tally: int, run: list[tuple[Any, ...]]) -> None:
        start, stop = run[0][1], run[-1][2]
        counted = add_up(self._db, self.path, tally, stop, start)
        assert counted is not None
        blob, checksum = pack(counted.patterns, counted.pairs)
        self._db.executemany("DELETE FROM span WHERE key = ?", ((row[0],) for row in run))
        self._db.execute(
            INSERT_SPAN,
            (tally, start, stop, blob, checksum, counted.seconds, run[0][4], max(row[5] for row in run)),
        )

    # --- what follows from it -------------------------------------------------------------------------------------

    def kept_curve(self, point: int, state: str) -> str | None:
        """Return what :meth:`keep_curve` kept of a point, if it was made from `state`."""
        with translated(self.path):
            found = self._db.execute("SELECT text FROM curve WHERE point = ? AND state = ?", (point, state)).fetchone()
        return None if found is None else str(found[0])

    def keep_curves(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Keep curves: point, what each was made from, its text."""
        with translated(self.path), self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO curve VALUES (?, ?, ?)", rows)

    def kept_output(self, file: str) -> str | None:
        """Return what a file that was written outside was made from; None if this store does not know."""
        with translated(self.path):
            found = self._db.execute("SELECT state FROM output WHERE file = ?", (file,)).fetchone()
        return None if found is None else str(found[0])

    def keep_output(self, file: str, state: str) -> None:
        """Remember what a file that is written outside was made from."""
        with translated(self.path), self._transaction():
            self._db.execute("INSERT OR REPLACE INTO output VALUES (?, ?)", (file, state))

    # --- verdicts -------------------------------------------------------------------------------------------------

    def verdict(self, member: StoredMember) -> Verdict | None:
        """Return the latest verdict on a point under its rule."""
        query = "SELECT realizations, stopped, fraction, reason FROM verdict WHERE point = ? AND rule = ?"
        with translated(self.path):
            found = self._db.execute(query, (member.point, member.rule)).fetchone()
        return None if found is None else Verdict(found[0], bool(found[1]), found[2], found[3])

    def verdicts(self, members: Sequence[StoredMember]) -> dict[tuple[int, int], Verdict]:
        """Return the latest verdict of every (point, rule) that has one."""
        wanted = {(m.point, m.rule) for m in members}
        with translated(self.path):
            rows = self._db.execute("SELECT point, rule, realizations, stopped, fraction, reason FROM verdict")
            return {(p, r): Verdict(n, bool(s), f, text) for p, r, n, s, f, text in rows if (p, r) in wanted}

    def forget(self, member: StoredMember) -> None:
        """Take back the verdict on a point under its rule."""
        with translated(self.path), self._transaction():
            self._db.execute("DELETE FROM verdict WHERE point = ? AND rule = ?", (member.point, member.rule))

    def judge(self, member: StoredMember, verdict: Verdict) -> None:
        """Keep a verdict, unless a later one is known."""
        row = (member.point, member.rule, verdict.realizations, int(verdict.stopped), verdict.fraction, verdict.reason)
        with translated(self.path), self._transaction():
            self._db.execute(
                "INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET realizations = excluded.realizations, "
                "stopped = excluded.stopped, fraction = excluded.fraction, reason = excluded.reason "
                "WHERE excluded.realizations > realizations",
                row,
            )


def add_up(db: sqlite3.Connection, path: Path | str, tally: int, upto: int, start: int = 0) -> CountedRange | None:
    """Return the sum of the stored ranges of a tally that begin in `start` .. `upto` - 1; None if there are none.

    Raises
    ------
    StoreError
        If a range is not what was stored.
    """
    kind, *shape = db.execute("SELECT kind, times, classes, subproducts FROM tally WHERE key = ?", (tally,)).fetchone()
    query = (
        "SELECT start, stop, counts, checksum, seconds, text FROM span JOIN piece ON piece.key = provenance "
        "WHERE tally = ? AND start >= ? AND start < ? ORDER BY start"
    )
    patterns: Ints | None = None
    pairs: Ints | None = None
    ranges: list[tuple[int, int]] = []
    total, sources = 0.0, dict[str, None]()
    for first, stop, blob, checksum, seconds, provenance in db.execute(query, (tally, start, upto)):
        try:
            more, more_pairs = unpack(blob, checksum, kind, (shape[0], shape[1], shape[2]), stop - first)
        except CountsError as error:
            raise StoreError(damaged(path, f"realizations {first}..{stop - 1} of a tally: {error}")) from None
        patterns = more if patterns is None else patterns + more
        if more_pairs is not None:
            pairs = more_pairs if pairs is None else pairs + more_pairs
        if ranges and ranges[-1][1] == first:
            ranges[-1] = (ranges[-1][0], stop)
        else:
            ranges.append((first, stop))
        total += seconds
        sources[provenance] = None
    return None if patterns is None else CountedRange(patterns, pairs, tuple(ranges), total, tuple(sources))

"""Combining stores into one: what machines that share no disk have collected, or what a damaged file still holds.

Ranges of one tally that overlap are kept so that most realizations remain; equal ranges must have equal counts, which is a
check of the machines against each other. Rows that cannot be read are left out and counted; whatever is left out is
simulated again when the sweep is resumed.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uepgpu.store.counts import CountsError, unpack
from uepgpu.store.errors import StoreError, translated
from uepgpu.store.members import FIND_SWEEP, INSERT_SWEEP
from uepgpu.store.opening import open_reading, open_writing
from uepgpu.store.spans import INSERT_SPAN

__all__ = ["Combined", "combine"]

MISSES = 10_000
"""So many keys in a row without a row are the end of a table whose own end cannot be read."""

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Combined:
    """What :func:`combine` has written.

    Attributes
    ----------
    points, ranges, realizations : int
        In the new store.
    doubled : int
        Realizations that were in several stores, counted once.
    unreadable : int
        Ranges and other rows of damaged stores that are left out.
    """

    points: int
    ranges: int
    realizations: int
    doubled: int
    unreadable: int


def combine(sources: Sequence[Path | str], target: Path | str) -> Combined:
    """Write everything that is in `sources` to a new store.

    Parameters
    ----------
    sources : sequence of path
        At least one; they are not changed.
    target : path
        Must not exist.

    Raises
    ------
    StoreError
        If a source is no store, `target` exists, or two stores disagree about the same realizations.
    """
    if os.path.lexists(target):
        raise StoreError(f"-o must be a file that does not exist yet, got {str(target)!r}")
    if not Path(target).parent.is_dir():
        raise StoreError(f"-o must be a file in a folder that exists, got {str(target)!r}")
    for source in sources:
        with closing(open_reading(source, damaged_too=True)):
            pass
    # Under another name until it is whole.
    unfinished = Path(f"{target}.{os.getpid()}.part")
    try:
        with closing(open_writing(unfinished)) as new, translated(unfinished):
            new.execute("BEGIN IMMEDIATE")
            merger = _Merger(new)
            for source in sources:
                with closing(open_reading(source, damaged_too=True)) as old:
                    merger.take(old)
            merger.lay_out(sources)
            new.execute("COMMIT")
            new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            result = merger.result()
        unfinished.replace(target)
    finally:
        for end in ("", "-wal", "-shm"):
            Path(f"{unfinished}{end}").unlink(missing_ok=True)
    return result


class _Merger:
    """The new store while it is made."""

    def __init__(self, new: sqlite3.Connection) -> None:
        self.new = new
        self.unreadable = 0
        self.doubled = 0
        self.tallies: dict[str, tuple[int, str, tuple[int, int, int]]] = {}
        self.pieces: list[dict[int, int]] = []  # of each source: its keys to ours
        self.spans: dict[int, list[tuple[int, int, int, int, int]]] = {}  # start, stop, source, key there, checksum

    # --- reading a source -----------------------------------------------------------------------------------------

    def _rows(self, old: sqlite3.Connection, columns: str, table: str) -> Iterator[Row]:
        """Yield the rows of a table that can be read."""
        seen = set()
        try:
            for row in old.execute(f"SELECT key, {columns} FROM {table}"):
                seen.add(row[0])
                yield row
            return
        except sqlite3.DatabaseError:
            pass
        key, misses, end = 0, 0, self._end(old, table)
        while misses < MISSES if end is None else key < end:
            key += 1
            misses += 1
            if key in seen:
                misses = 0
                continue
            try:
                row = old.execute(f"SELECT key, {columns} FROM {table} WHERE key = ?", (key,)).fetchone()
            except sqlite3.DatabaseError:
                # Without an end, rows beyond it look like rows that cannot be read.
                self.unreadable += end is not None or misses == 1
                continue
            if row is not None:
                misses = 0
                yield row

    def _end(self, old: sqlite3.Connection, table: str) -> int | None:
        try:
            return int(old.execute(f"SELECT COALESCE(MAX(key), 0) FROM {table}").fetchone()[0])
        except sqlite3.DatabaseError:
            return None

    def _all(self, read: Callable[[], Iterable[Row]]) -> list[Row]:
        """Return rows of a table without keys: all, or none and the sweep makes them again."""
        try:
            return list(read())
        except sqlite3.DatabaseError:
            self.unreadable += 1
            return []

    def take(self, old: sqlite3.Connection) -> None:
        """Copy what describes, and note what ranges there are."""
        pieces: dict[int, int] = {}
        for key, sha256, text in self._rows(old, "sha256, text", "piece"):
            if hashlib.sha256(text.encode()).digest() != sha256:
                self.unreadable += 1
                continue
            self.new.execute("INSERT OR IGNORE INTO piece (sha256, text) VALUES (?, ?)", (sha256, text))
            pieces[key] = self.new.execute("SELECT key FROM piece WHERE sha256 = ?", (sha256,)).fetchone()[0]
        tallies = self._take_tallies(old)
        points = self._take_points(old, pieces, tallies)
        self._take_sweeps(old, pieces, points)
        self._note_spans(old, len(self.pieces), tallies, pieces)
        self.pieces.append(pieces)

    def _take_tallies(self, old: sqlite3.Connection) -> dict[int, int]:
        tallies: dict[int, int] = {}
        for key, *row in self._rows(old, "id, kind, times, classes, subproducts, range_size", "tally"):
            self.new.execute(
                "INSERT OR IGNORE INTO tally (id, kind, times, classes, subproducts, range_size) VALUES (?, ?, ?, ?, ?, ?)", row
            )
            tallies[key] = self.new.execute("SELECT key FROM tally WHERE id = ?", (row[0],)).fetchone()[0]
            self.tallies[row[0]] = (tallies[key], row[1], (row[2], row[3], row[4]))
        return tallies

    def _take_points(self, old: sqlite3.Connection, pieces: dict[int, int], tallies: dict[int, int]) -> dict[int, int]:
        points: dict[int, int] = {}
        for key, point, tally, *texts in self._rows(old, "id, tally, frame, code, part, workers, deadlines", "point"):
            if tally not in tallies or any(text not in pieces for text in texts):
                self.unreadable += 1
                continue
            self.new.execute(
                "INSERT OR IGNORE INTO point (id, tally, frame, code, part, workers, deadlines) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (point, tallies[tally], *(pieces[text] for text in texts)),
            )
            points[key] = self.new.execute("SELECT key FROM point WHERE id = ?", (point,)).fetchone()[0]
        return points

    def _take_sweeps(self, old: sqlite3.Connection, pieces: dict[int, int], points: dict[int, int]) -> None:
        sweeps: dict[int, int] = {}
        for key, *row in self._rows(old, "name, title, text, show, options, digest, version, started", "sweep"):
            self.new.execute(INSERT_SWEEP, row)
            sweeps[key] = self.new.execute(FIND_SWEEP, row[:6]).fetchone()[0]
        members = self._all(lambda: old.execute("SELECT sweep, position, point, series, partition, rule FROM member"))
        for sweep, position, point, series, partition, rule in members:
            if sweep in sweeps and point in points and rule in pieces:
                member = (sweeps[sweep], position, points[point], series, partition, pieces[rule])
                self.new.execute("INSERT OR IGNORE INTO member VALUES (?, ?, ?, ?, ?, ?)", member)
        verdicts = self._all(lambda: old.execute("SELECT point, rule, realizations, stopped, fraction, reason FROM verdict"))
        for point, rule, n, stopped, fraction, reason in verdicts:
            if point in points and rule in pieces:
                self.new.execute(
                    "INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET realizations = excluded.realizations, "
                    "stopped = excluded.stopped, fraction = excluded.fraction, reason = excluded.reason "
                    "WHERE excluded.stopped > stopped OR (excluded.stopped = stopped AND excluded.realizations > realizations)",
                    (points[point], pieces[rule], n, stopped, fraction, reason),
                )

    def _note_spans(self, old: sqlite3.Connection, number: int, tallies: dict[int, int], pieces: dict[int, int]) -> None:
        shapes = {key: (kind, shape) for key, kind, shape in self.tallies.values()}
        for key, tally, start, stop, blob, checksum, provenance in self._rows(
            old, "tally, start, stop, counts, checksum, provenance", "span"
        ):
            if tally not in tallies or provenance not in pieces:
                self.unreadable += 1
                continue
            kind, shape = shapes[tallies[tally]]
            try:
                unpack(blob, checksum, kind, shape, stop - start)
            except CountsError:
                self.unreadable += 1
                continue
            self.spans.setdefault(tallies[tally], []).append((start, stop, number, key, checksum))

    # --- writing --------------------------------------------------------------------------------------------------

    def lay_out(self, sources: Sequence[Path | str]) -> None:
        """Copy the ranges that are to be kept."""
        wanted: dict[int, list[tuple[int, int]]] = {}
        for tally, spans in self.spans.items():
            kept = _widest(_once(spans, sources))
            self.doubled += sum(s[1] - s[0] for s in spans) - sum(s[1] - s[0] for s in kept)
            for _, _, number, key, _ in kept:
                wanted.setdefault(number, []).append((key, tally))
        for number, rows in wanted.items():
            pieces = self.pieces[number]
            with closing(open_reading(sources[number], damaged_too=True)) as old:
                for key, tally in rows:
                    query = "SELECT start, stop, counts, checksum, seconds, provenance, finished FROM span WHERE key = ?"
                    start, stop, blob, checksum, seconds, provenance, finished = old.execute(query, (key,)).fetchone()
                    row = (tally, start, stop, blob, checksum, seconds, pieces[provenance], finished)
                    self.new.execute(INSERT_SPAN, row)

    def result(self) -> Combined:
        """Return what is in the new store."""
        points = self.new.execute("SELECT COUNT(*) FROM point").fetchone()[0]
        ranges, realizations = self.new.execute("SELECT COUNT(*), COALESCE(SUM(stop - start), 0) FROM span").fetchone()
        return Combined(points, ranges, realizations, self.doubled, self.unreadable)


Span = tuple[int, int, int, int, int]


def _once(spans: list[Span], sources: Sequence[Path | str]) -> list[Span]:
    """Return the spans without repetitions; raise if two stores say different things of the same range."""
    first: dict[tuple[int, int], Span] = {}
    for span in spans:
        held = first.setdefault(span[:2], span)
        if held[4] != span[4]:
            raise StoreError(
                f"{str(sources[held[2]])!r} and {str(sources[span[2]])!r} disagree about realizations {span[0]}..{span[1] - 1} of "
                "one tally, though a realization is the same everywhere: one of them comes from faulty hardware or changed code. "
                "Nothing is written; find the machine with `uepgpu info --selftest`"
            )
    return sorted(first.values(), key=lambda s: s[1])


def _widest(spans: list[Span]) -> list[Span]:
    """Return disjoint spans that cover most; `spans` are sorted by their ends."""
    ends = [s[1] for s in spans]
    best, last = [0], [-1]
    for i, span in enumerate(spans):
        before = bisect.bisect_right(ends, span[0], 0, i)
        with_it = best[before] + span[1] - span[0]
        last.append(before if with_it > best[i] else -1)
        best.append(max(with_it, best[i]))
    kept, i = [], len(spans)
    while i > 0:
        if last[i] < 0:
            i -= 1
        else:
            kept.append(spans[i - 1])
            i = last[i]
    return kept[::-1]

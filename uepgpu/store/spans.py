"""Finished ranges of realizations: stored once, added up, joined."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uepgpu.store.claims import Claim, Claims
from uepgpu.store.counts import CountsError, Ints, pack, unpack
from uepgpu.store.errors import StoreError, damaged, translated

if TYPE_CHECKING:
    from uepgpu.tally import Tally

__all__ = ["INSERT_SPAN", "CountedRange", "Spans", "add_up"]

INSERT_SPAN = (
    "INSERT INTO span (tally, start, stop, counts, checksum, seconds, provenance, finished) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
JOINED = 16
"""So many neighbours become one row when a checkpoint is passed, so that files and checkpoints stay small."""


@dataclass(frozen=True, eq=False)
class CountedRange:
    """The sum of stored ranges of one tally."""

    patterns: Ints
    pairs: Ints | None
    ranges: tuple[tuple[int, int], ...]
    seconds: float
    provenance: tuple[str, ...]


class Spans(Claims):
    """The ranges of a store."""

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
            Proposed size of the next ranges; the first proposal is kept.

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

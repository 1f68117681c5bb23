"""Finished ranges of realizations: stored once, added up, joined."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uepgpu.store.claims import Claim, Claims
from uepgpu.store.counts import Counters, CountsError, counters_of, pack, unpack
from uepgpu.store.errors import translated
from uepgpu.store.rows import Rows
from uepgpu.store.tables import Span
from uepgpu.store.tables import Tally as TallyRow

if TYPE_CHECKING:
    from uepgpu.tally import Tally, Trajectories

__all__ = ["CountedRange", "Spans", "add_up"]

JOINED = 16
"""So many neighbours become one row when a checkpoint is passed, so that files and checkpoints stay small."""


@dataclass(frozen=True, eq=False)
class CountedRange:
    """The sum of stored ranges of one tally."""

    counters: Counters
    ranges: tuple[tuple[int, int], ...]
    seconds: float
    provenance: tuple[str, ...]


class Spans(Claims):
    """The ranges of a store."""

    def finish(self, claim: Claim, tally: Tally | Trajectories, provenance: str, range_size: int | None = None) -> bool:
        """Store what was counted in a claimed range, and give the claim back; both or neither.

        Parameters
        ----------
        claim : Claim
        tally : Tally or Trajectories
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
        counts, checksum = pack(counters_of(tally))
        stored = True
        with self._transaction(durable=True):
            row = (claim.tally, start, stop, checksum, tally.seconds, self._piece(provenance), time.time())
            try:
                self._rows.insert(Span, *row, counts=counts)
            except sqlite3.IntegrityError as error:
                if "stored twice" not in str(error):
                    raise
                stored = False
            held = self._rows.get(TallyRow, claim.tally)
            if range_size is not None and held.range_size is None:
                self._rows.replace(held, range_size=range_size)
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
            return add_up(self._rows, tally, upto)

    def ranges(self, tally: int) -> tuple[tuple[int, int], ...]:
        """Return which realizations of a tally are stored, neighbours joined."""
        with translated(self.path):
            return joined(self._db.execute("SELECT start, stop FROM span WHERE tally = ? ORDER BY start", (tally,)))

    def join(self, tally: int, upto: int) -> None:
        """Make one row of the ranges of a tally below `upto` that are neighbours and have one origin; the sum is the same."""
        with translated(self.path):
            query = "SELECT COUNT(*) FROM span WHERE tally = ? AND stop <= ?"
            if self._db.execute(query, (tally, upto)).fetchone()[0] < JOINED:
                return
        with self._transaction(durable=True):
            runs: list[list[Span]] = []
            for span in self._rows.select(Span, "WHERE tally = ? AND stop <= ? ORDER BY start", (tally, upto)):
                if runs and runs[-1][-1].stop == span.start and runs[-1][-1].provenance == span.provenance:
                    runs[-1].append(span)
                else:
                    runs.append([span])
            for run in runs:
                if len(run) >= JOINED:
                    self._join(tally, run)

    def _join(self, tally: int, run: list[Span]) -> None:
        start, stop = run[0].start, run[-1].stop
        counted = add_up(self._rows, tally, stop, start)
        assert counted is not None
        counts, checksum = pack(counted.counters)
        for span in run:
            self._rows.delete(span)
        finished = max(span.finished for span in run)
        row = (tally, start, stop, checksum, counted.seconds, run[0].provenance, finished)
        self._rows.insert(Span, *row, counts=counts)


def add_up(rows: Rows, tally: int, upto: int, start: int = 0) -> CountedRange | None:
    """Return the sum of the stored ranges of a tally that begin in `start` .. `upto` - 1; None if there are none.

    Raises
    ------
    StoreError
        If a range is not what was stored.
    """
    held = rows.get(TallyRow, tally)
    shape = (held.times, held.classes, held.subproducts)
    total: Counters | None = None
    ranges: list[tuple[int, int]] = []
    seconds, sources = 0.0, dict[int, None]()
    for span, counts in rows.spans("WHERE tally = ? AND start >= ? AND start < ? ORDER BY start", (tally, start, upto)):
        try:
            more = unpack(counts, span.checksum, held.kind, shape, span.stop - span.start)
        except CountsError as error:
            raise rows.damage(f"realizations {span.start}..{span.stop - 1} of a tally: {error}") from None
        total = more if total is None else total.plus(more)
        ranges.append((span.start, span.stop))
        seconds += span.seconds
        sources[span.provenance] = None
    if total is None:
        return None
    provenance = tuple(rows.text(key) for key in sources)
    return CountedRange(total, joined(ranges), seconds, provenance)


def joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ranges in ascending order with neighbours made one."""
    result: list[tuple[int, int]] = []
    for start, stop in ranges:
        if result and result[-1][1] == start:
            result[-1] = (result[-1][0], stop)
        else:
            result.append((start, stop))
    return tuple(result)

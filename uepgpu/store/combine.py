"""Combining stores into one: what machines that share no disk have collected, or what a damaged file still holds.

Ranges of one tally that overlap are kept so that most realizations remain; equal ranges must have equal counts, which is a
check of the machines against each other. Rows that cannot be read are left out and counted; whatever is left out is
simulated again when the sweep is resumed.
"""

from __future__ import annotations

import bisect
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from uepgpu.store import tables
from uepgpu.store.counts import CountsError, unpack
from uepgpu.store.errors import StoreError, translated
from uepgpu.store.opening import open_damaged, open_writing
from uepgpu.store.rows import Rows
from uepgpu.store.salvage import Salvage

__all__ = ["Combined", "combine"]

CALLED = {
    tables.Span: "ranges",
    tables.Tally: "tallies",
    tables.Point: "points",
    tables.Piece: "descriptions",
    tables.Sweep: "specifications",
    tables.Member: "entries of specifications",
    tables.Verdict: "verdicts",
}
"""What people call the rows of a table."""


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
        Rows of damaged stores that are left out, ranges among them.
    lost : str
        How many of which kind, in words; empty if none.
    """

    points: int
    ranges: int
    realizations: int
    doubled: int
    unreadable: int
    lost: str = ""


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
        with _open(source):
            pass
    # Under another name until it is whole.
    unfinished = Path(f"{target}.{os.getpid()}.part")
    try:
        with translated(unfinished):
            new = open_writing(unfinished)
            with closing(new.db):
                new.db.execute("BEGIN IMMEDIATE")
                merger = _Merger(new)
                for source in sources:
                    with _open(source) as old:
                        merger.take(old)
                merger.lay_out(sources)
                new.enter_inventory()
                new.db.execute("COMMIT")
                new.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                result = merger.result()
        unfinished.replace(target)
    finally:
        for end in ("", "-wal", "-shm"):
            Path(f"{unfinished}{end}").unlink(missing_ok=True)
    return result


@contextmanager
def _open(source: Path | str) -> Iterator[Salvage]:
    rows = open_damaged(source)
    with closing(rows.db):
        yield Salvage(rows)


Place = tuple[int, int, int, int, int]
"""Of a range: start, stop, number of its source, key there, checksum of its counts."""


class _Merger:
    """The new store while it is made."""

    def __init__(self, new: Rows) -> None:
        self.new = new
        self.lost: Counter[type[tables.Row]] = Counter()
        self.doubled = 0
        self.pieces: list[dict[int, int]] = []  # of each source: its keys to ours
        self.places: dict[int, list[Place]] = {}

    def take(self, old: Salvage) -> None:
        """Copy what describes, and note what ranges there are."""
        pieces: dict[int, int] = {}
        for piece in old.rows(tables.Piece):
            held = self.new.find(tables.Piece, sha256=piece.sha256)
            pieces[piece.key] = self.new.insert(tables.Piece, piece.sha256, piece.text) if held is None else held.key
        tallies = self._take_tallies(old)
        points = self._take_points(old, pieces, tallies)
        sweeps = self._take_sweeps(old)
        self._take_members(old, sweeps, points, pieces)
        self._take_verdicts(old, points, pieces)
        self._note_spans(old, tallies, pieces)
        self.pieces.append(pieces)
        self.lost += old.lost

    def _take_tallies(self, old: Salvage) -> dict[int, tables.Tally]:
        """Return our row for each of the source's keys."""
        tallies: dict[int, tables.Tally] = {}
        for tally in old.rows(tables.Tally):
            held = self.new.find(tables.Tally, id=tally.id)
            if held is None:
                held = self.new.get(tables.Tally, self.new.insert(tables.Tally, *tally[1:]))
            if held[1:6] != tally[1:6]:
                old.lose(tables.Tally)
                continue
            tallies[tally.key] = held
        return tallies

    def _take_points(self, old: Salvage, pieces: dict[int, int], tallies: dict[int, tables.Tally]) -> dict[int, int]:
        points: dict[int, int] = {}
        for point in old.rows(tables.Point):
            texts = (point.frame, point.code, point.part, point.workers, point.deadlines)
            if point.tally not in tallies or any(text not in pieces for text in texts):
                old.lose(tables.Point)
                continue
            held = self.new.find(tables.Point, id=point.id)
            row = (point.id, tallies[point.tally].key, *(pieces[text] for text in texts))
            points[point.key] = self.new.insert(tables.Point, *row) if held is None else held.key
        return points

    def _take_sweeps(self, old: Salvage) -> dict[int, int]:
        sweeps: dict[int, int] = {}
        for sweep in old.rows(tables.Sweep):
            try:
                json.loads(sweep.show), json.loads(sweep.options)
            except ValueError:
                old.lose(tables.Sweep)
                continue
            same = {name: getattr(sweep, name) for name in ("digest", "name", "title", "text", "show", "options")}
            held = self.new.find(tables.Sweep, **same)
            sweeps[sweep.key] = self.new.insert(tables.Sweep, *sweep[1:]) if held is None else held.key
        return sweeps

    def _take_members(self, old: Salvage, sweeps: dict[int, int], points: dict[int, int], pieces: dict[int, int]) -> None:
        for member in old.rows(tables.Member):
            if member.sweep not in sweeps or member.point not in points or member.rule not in pieces:
                old.lose(tables.Member)
                continue
            sweep = sweeps[member.sweep]
            if self.new.find(tables.Member, sweep=sweep, position=member.position) is None:
                row = (sweep, member.position, points[member.point], member.series, member.partition, pieces[member.rule])
                self.new.insert(tables.Member, *row)

    def _take_verdicts(self, old: Salvage, points: dict[int, int], pieces: dict[int, int]) -> None:
        for verdict in old.rows(tables.Verdict):
            if verdict.point not in points or verdict.rule not in pieces:
                old.lose(tables.Verdict)
                continue
            place = {"point": points[verdict.point], "rule": pieces[verdict.rule]}
            held = self.new.find(tables.Verdict, **place)
            if held is None:
                self.new.insert(tables.Verdict, *place.values(), *verdict[3:])
            elif (verdict.stopped, verdict.realizations) > (held.stopped, held.realizations):
                self.new.delete(held)
                self.new.insert(tables.Verdict, *place.values(), *verdict[3:])

    def _note_spans(self, old: Salvage, tallies: dict[int, tables.Tally], pieces: dict[int, int]) -> None:
        number = len(self.pieces)
        for span in old.rows(tables.Span):
            if span.tally in tallies and span.provenance in pieces and _sound(old, span, tallies[span.tally]):
                place = (span.start, span.stop, number, span.key, span.checksum)
                self.places.setdefault(tallies[span.tally].key, []).append(place)
            else:
                old.lose(tables.Span)

    # --- writing --------------------------------------------------------------------------------------------------

    def lay_out(self, sources: Sequence[Path | str]) -> None:
        """Copy the ranges that are to be kept."""
        wanted: dict[int, list[tuple[int, int]]] = {}
        for tally, places in self.places.items():
            kept = _widest(_once(places, sources))
            self.doubled += sum(p[1] - p[0] for p in places) - sum(p[1] - p[0] for p in kept)
            for _, _, number, key, _ in kept:
                wanted.setdefault(number, []).append((key, tally))
        for number, rows in wanted.items():
            pieces = self.pieces[number]
            with _open(sources[number]) as old:
                for key, tally in rows:
                    found = old.span(key)
                    if found is None or found[0].provenance not in pieces:
                        self.lost[tables.Span] += 1
                        continue
                    span, counts = found
                    row = (tally, span.start, span.stop, span.checksum, span.seconds, pieces[span.provenance], span.finished)
                    self.new.insert(tables.Span, *row, counts=counts)

    def result(self) -> Combined:
        """Return what is in the new store."""
        points = self.new.db.execute("SELECT COUNT(*) FROM point").fetchone()[0]
        ranges, realizations = self.new.db.execute("SELECT COUNT(*), COALESCE(SUM(stop - start), 0) FROM span").fetchone()
        lost = ", ".join(f"{self.lost[table]} {name}" for table, name in CALLED.items() if self.lost[table])
        return Combined(points, ranges, realizations, self.doubled, sum(self.lost.values()), lost)


def _sound(old: Salvage, span: tables.Span, tally: tables.Tally) -> bool:
    found = old.span(span.key)
    if found is None:
        return False
    try:
        unpack(found[1], span.checksum, tally.kind, (tally.times, tally.classes, tally.subproducts), span.stop - span.start)
    except CountsError:
        return False
    return True


def _once(places: list[Place], sources: Sequence[Path | str]) -> list[Place]:
    """Return the places without repetitions; raise if two stores say different things of the same range."""
    first: dict[tuple[int, int], Place] = {}
    for place in places:
        held = first.setdefault(place[:2], place)
        if held[4] != place[4]:
            raise StoreError(
                f"{str(sources[held[2]])!r} and {str(sources[place[2]])!r} disagree about realizations {place[0]}..{place[1] - 1} "
                "of one tally, though a realization is the same everywhere: one of them comes from faulty hardware or changed "
                "code. Nothing is written; find the machine with `uepgpu info --selftest`"
            )
    return sorted(first.values(), key=lambda p: p[1])


def _widest(places: list[Place]) -> list[Place]:
    """Return disjoint places that cover most; `places` are sorted by their ends."""
    ends = [p[1] for p in places]
    best, last = [0], [-1]
    for i, place in enumerate(places):
        before = bisect.bisect_right(ends, place[0], 0, i)
        with_it = best[before] + place[1] - place[0]
        last.append(before if with_it > best[i] else -1)
        best.append(max(with_it, best[i]))
    kept, i = [], len(places)
    while i > 0:
        if last[i] < 0:
            i -= 1
        else:
            kept.append(places[i - 1])
            i = last[i]
    return kept[::-1]

"""Claims: which process runs which range, so that processes that share a store do not do the same work.

Claims save work; that no range is stored twice is the trigger's business (:mod:`uepgpu.store.schema`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uepgpu.store import ownership
from uepgpu.store.connection import Connection
from uepgpu.store.errors import translated
from uepgpu.store.tables import Tally

__all__ = ["Claim", "Claims"]

BEAT_SECONDS = 10.0


@dataclass(frozen=True)
class Claim:
    """A range that this process is to run: realizations `start` .. `stop` - 1 of a tally.

    `size` is the tally's range size, None if nobody has estimated it; then any first part of the range may be handed in.
    """

    tally: int
    start: int
    stop: int
    size: int | None


class Claims(Connection):
    """The claims of a store, and this process as one of their owners."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self._beaten = 0.0
        with self._transaction():
            self._remove_invalid()
            # Also those whose sweep had just ended: nobody would claim anything here any more, and find them.
            ownership.release_dead_owners(self._db)
            row = (ownership.host(), ownership.this_process(), time.time())
            self._owner = self._db.execute("INSERT INTO owner (host, process, beat) VALUES (?, ?, ?)", row).lastrowid
        self._empty_log()  # so that a copy of the file alone tells that it was in use

    def claim(self, tally: int, upto: int) -> Claim | None:
        """Claim the first free range of a tally below `upto`; None if all is stored or claimed by live processes."""
        with self._transaction():
            ownership.release_dead_owners(self._db, but=self._owner)
            size = self._rows.get(Tally, tally).range_size
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

    def _remove_invalid(self) -> None:
        """Remove owners and claims that a damaged file makes no sense of: nobody would ever give them back."""
        late = time.time() + ownership.LEASE_SECONDS
        self._db.execute("DELETE FROM owner WHERE typeof(host) != 'text' OR typeof(process) != 'text' OR beat > ?", (late,))
        kinds = "typeof(tally) || typeof(start) || typeof(stop) != 'integerintegerinteger'"
        self._db.execute(f"DELETE FROM claim WHERE owner NOT IN (SELECT key FROM owner) OR {kinds}")

    def beat(self) -> None:
        """Tell the other processes that this one is alive; call it often, it writes every 10 s."""
        now = time.time()
        if now - self._beaten > BEAT_SECONDS:
            self._beaten = now
            with self._transaction():
                self._db.execute("UPDATE owner SET beat = ? WHERE key = ?", (now, self._owner))

    def release(self, claim: Claim) -> None:
        """Give back a range that has not been run."""
        with self._transaction():
            self._release(claim)

    def _release(self, claim: Claim) -> None:
        row = (claim.tally, claim.start, self._owner)
        self._db.execute("DELETE FROM claim WHERE tally = ? AND start = ? AND owner = ?", row)

    def claimable(self, tally: int, upto: int) -> bool:
        """Return whether something below `upto` is neither stored nor claimed."""
        with translated(self.path):
            return next(self._gaps(tally, upto), None) is not None

    def _release_all(self) -> None:
        """Give back everything that this process has claimed; it owns nothing any more."""
        self._db.execute("DELETE FROM claim WHERE owner = ?", (self._owner,))
        self._db.execute("DELETE FROM owner WHERE key = ?", (self._owner,))

"""The sweeps of a store and the points that are their members."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uepgpu import __version__
from uepgpu.store.connection import Connection
from uepgpu.store.errors import translated

if TYPE_CHECKING:
    from uepgpu.points.identity import Identity
    from uepgpu.points.point import Sweep

__all__ = ["FIND_SWEEP", "INSERT_SWEEP", "Members", "StoredMember"]

INSERT_SWEEP = (
    "INSERT OR IGNORE INTO sweep (name, title, text, show, options, digest, version, started) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
FIND_SWEEP = "SELECT key FROM sweep WHERE (name, title, text, show, options, digest) = (?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class StoredMember:
    """A point of a sweep in the store, by the keys of its rows."""

    point: int
    tally: int
    rule: int


class Members(Connection):
    """The sweeps and points of a store."""

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

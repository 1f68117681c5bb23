"""The sweeps of a store and the points that are their members."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uepgpu import __version__
from uepgpu.store import tables
from uepgpu.store.connection import Connection
from uepgpu.store.errors import translated

if TYPE_CHECKING:
    from uepgpu.points.identity import Identity
    from uepgpu.points.point import Sweep

__all__ = ["Members", "StoredMember"]


@dataclass(frozen=True)
class StoredMember:
    """A point of a sweep in the store, by the keys of its rows."""

    point: int
    tally: int
    rule: int


class Members(Connection):
    """The sweeps and points of a store."""

    def add_sweep(self, sweep: Sweep, identities: Sequence[Identity], options: dict[str, Any] | None = None) -> list[StoredMember]:
        """Enter a sweep with its points as the latest of its name, unless they are in; return their keys in their order.

        Parameters
        ----------
        sweep : Sweep
        identities : sequence of Identity
            Of its points.
        options : dict, optional
            What the command line changed in the specification.
        """
        with self._transaction(durable=True):
            asked = "\n".join(f"{i.point} {p.series} {p.stop.id}" for i, p in zip(identities, sweep.points, strict=True))
            unit = {} if sweep.time_unit is None else {tables.TIME_UNIT: sweep.time_unit}
            row = {
                "name": sweep.name,
                "title": sweep.title,
                "text": sweep.text,
                "show": json.dumps(sweep.show),
                "options": json.dumps((options or {}) | unit, sort_keys=True),
                "digest": hashlib.sha256(asked.encode()).hexdigest(),
            }
            held = self._rows.find(tables.Sweep, **row)
            later = self._rows.select(tables.Sweep, "WHERE name = ? AND key > ?", (sweep.name, held.key)) if held else ()
            if held is not None and any(later):
                held = self._again(held)
            new = row | {"version": __version__, "started": time.time()}
            key = held.key if held else self._rows.insert(tables.Sweep, *(new[c] for c in tables.columns_of(tables.Sweep)[1:]))
            entered = {m.position: m for m in self._rows.select(tables.Member, "WHERE sweep = ?", (key,))}
            members = []
            for position, (point, identity) in enumerate(zip(sweep.points, identities, strict=True)):
                member = StoredMember(*self._add_point(identity), self._piece(point.stop.to_json()))
                members.append(member)
                there = {"point": member.point, "series": point.series, "partition": point.partition, "rule": member.rule}
                if position not in entered:
                    self._rows.insert(tables.Member, key, position, *there.values())
                elif any(getattr(entered[position], name) != value for name, value in there.items()):
                    self._rows.replace(entered[position], **there)
        return members

    def _again(self, held: tables.Sweep) -> tables.Sweep:
        """Enter a sweep that is run again after another of its name behind that: what is run last says what points are called."""
        members = list(self._rows.select(tables.Member, "WHERE sweep = ?", (held.key,)))
        for row in (*members, held):
            self._rows.delete(row)
        key = self._rows.insert(tables.Sweep, *held[1:])
        for member in members:
            self._rows.insert(tables.Member, key, *member[2:])
        return self._rows.get(tables.Sweep, key)

    def left_over(self, name: str, members: Sequence[StoredMember]) -> int:
        """Return how many points of sweeps called `name` are none of `members`."""
        with translated(self.path):
            sweeps = {row.key for row in self._rows.select(tables.Sweep, "WHERE name = ?", (name,))}
            return len({m.point for m in self._rows.select(tables.Member) if m.sweep in sweeps} - {m.point for m in members})

    def _add_point(self, identity: Identity) -> tuple[int, int]:
        """Enter a point unless it is in, and return its key and its tally's."""
        held = self._rows.find(tables.Point, id=identity.point)
        if held is not None:
            return held.key, held.tally
        counted = self._rows.find(tables.Tally, id=identity.tally)
        tally = counted.key if counted else self._rows.insert(tables.Tally, identity.tally, identity.kind, *identity.shape, None)
        texts = (identity.frame, identity.code, identity.part, identity.workers, identity.deadlines)
        return self._rows.insert(tables.Point, identity.point, tally, *map(self._piece, texts)), tally

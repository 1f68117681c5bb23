"""What can be read of a store that may be damaged: every sound row, and how many are lost."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

from uepgpu.store.errors import UNREADABLE
from uepgpu.store.rows import RowError, Rows, checked_row
from uepgpu.store.schema import OLD_COLUMNS
from uepgpu.store.tables import Inventory, Piece, Row, Span, name_of

__all__ = ["Salvage"]

MISSES = 10_000
"""So many keys in a row without a row are the end of a table whose own end cannot be read."""

R = TypeVar("R", bound=Row)


class Salvage:
    """The sound rows of an open store.

    Parameters
    ----------
    rows : Rows

    Attributes
    ----------
    lost : Counter
        How many rows of each table were there that are not sound, as far as that is known.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.lost: Counter[type[Row]] = Counter()
        self._unsound: Counter[type[Row]] = Counter()
        # A text with a flipped bit may be none: then its checksum is wrong, which is noticed.
        rows.db.text_factory = lambda raw: raw.decode(errors="replace")
        self._expected = self._inventory()

    def _inventory(self) -> dict[str, int]:
        return {row.name: row.rows for row in self._read(Inventory)} if self._rows.checked else {}

    def lose(self, table: type[Row]) -> None:
        """Count a row that refers to one that is lost."""
        self.lost[table] += 1

    def rows(self, table: type[R]) -> Iterator[R]:
        """Yield the sound rows of a table, and count the others."""
        sound = 0
        for row in self._read(table):
            sound += 1
            yield row
        self.lost[table] += max(self._unsound[table], self._expected.get(name_of(table), 0) - sound)

    def span(self, key: int) -> tuple[Span, bytes] | None:
        """Return a range and its packed counts, if both are sound."""
        query = f"SELECT {self._rows.columns(Span)}, counts FROM span WHERE key = ?"
        try:
            found = self._rows.db.execute(query, (key,)).fetchone()
        except UNREADABLE:
            return None
        span = None if found is None else self._sound(Span, found[:-1])
        if span is None or not isinstance(found[-1], bytes) or zlib.crc32(found[-1]) != span.checksum:
            return None
        return span, found[-1]

    def _sound(self, table: type[R], values: tuple[Any, ...]) -> R | None:
        try:
            row = checked_row(table, values, with_checksum=self._rows.checked)
        except RowError:
            return None
        if isinstance(row, Piece) and hashlib.sha256(row.text.encode()).digest() != row.sha256:
            return None
        return row

    def _read(self, table: type[R]) -> Iterator[R]:
        seen: set[int] = set()
        query = f"SELECT {self._rows.columns(table)} FROM {name_of(table)}"
        try:
            for values in self._rows.db.execute(query):
                seen.add(values[0])
                if (row := self._sound(table, values)) is not None:
                    yield row
                else:
                    self._unsound[table] += 1
            return
        except UNREADABLE:
            pass
        if not self._rows.checked and table in OLD_COLUMNS:
            self._unsound[table] += 1  # it has no keys; what comes behind this place cannot be reached
            return
        yield from self._read_by_key(table, query, seen)

    def _read_by_key(self, table: type[R], query: str, seen: set[int]) -> Iterator[R]:
        """Yield the rows that an interrupted reading has not yielded, one by one."""
        end = self._end(table)
        key, misses = 0, 0
        while misses < MISSES if end is None else key < end:
            key += 1
            misses += 1
            if key in seen:
                misses = 0
                continue
            try:
                values = self._rows.db.execute(f"{query} WHERE key = ?", (key,)).fetchone()
            except UNREADABLE:
                # Without an end, rows beyond it look like rows that cannot be read.
                self._unsound[table] += end is not None or misses == 1
                continue
            if values is not None:
                misses = 0
                if (row := self._sound(table, values)) is not None:
                    yield row
                else:
                    self._unsound[table] += 1

    def _end(self, table: type[Row]) -> int | None:
        try:
            return int(self._rows.db.execute(f"SELECT COALESCE(MAX(key), 0) FROM {name_of(table)}").fetchone()[0])
        except UNREADABLE:
            return None

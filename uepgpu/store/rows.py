"""Rows with checksums: every row is read back as it was written, or the store is reported as damaged.

A row's checksum covers its key and all its columns. The inventory holds, for every table, how many rows it has and the exclusive
or of their checksums, so that rows that have vanished are noticed too. Rows are found by key or by an index, never by a join:
what is missing is an error, not a smaller result.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

from uepgpu.store.errors import StoreError, damaged
from uepgpu.store.schema import OLD_COLUMNS
from uepgpu.store.tables import (
    REFERENCES,
    TABLES,
    Inventory,
    Piece,
    Row,
    Span,
    columns_of,
    kinds_of,
    name_of,
    row_checksum,
)

__all__ = ["RowError", "Rows", "checked_row"]

R = TypeVar("R", bound=Row)
MOST_TEXTS = 256
"""Texts that are remembered: most points share most of theirs."""


class RowError(ValueError):
    """A row that is not what was stored."""


def checked_row(table: type[R], values: Sequence[Any], *, with_checksum: bool) -> R:
    """Return a row as it was read, its checksum last if it has one.

    Raises
    ------
    RowError
        If a value is of another type than its column, or the checksum is wrong.
    """
    row = tuple(values[:-1] if with_checksum else values)
    for value, kind, column in zip(row, kinds_of(table), columns_of(table), strict=True):
        if not isinstance(value, kind):
            raise RowError(f"a row of table {name_of(table)!r} has no proper {column}")
    if with_checksum and row_checksum(table, row) != values[-1]:
        raise RowError(f"the checksum of row {row[0]} of table {name_of(table)!r} is wrong")
    return table(*row)


class Rows:
    """The rows of an open store.

    Parameters
    ----------
    db : sqlite3.Connection
    path : path
        For messages.
    version : int
        Of the schema. Rows of version 1 have no checksums and can only be read.
    prefix : str
        Of the tables' names in the file.
    """

    def __init__(self, db: sqlite3.Connection, path: Path | str, version: int, *, prefix: str = "") -> None:
        self.db, self.path, self.version, self.prefix = db, path, version, prefix
        self._more: Counter[type[Row]] = Counter()
        self._flipped: dict[type[Row], int] = {}
        self._texts: dict[int, str] = {}

    @property
    def checked(self) -> bool:
        """Whether rows have checksums."""
        return self.version > 1

    def damage(self, what: object) -> StoreError:
        """Return the error about a damaged store."""
        return StoreError(damaged(self.path, str(what)))

    # --- reading --------------------------------------------------------------------------------------------------

    def columns(self, table: type[Row]) -> str:
        """Return what to select of a table: its columns, and the checksum if there is one."""
        if self.checked:
            return ", ".join((*columns_of(table), "row_checksum"))
        return OLD_COLUMNS.get(table) or ", ".join(columns_of(table))

    def select(self, table: type[R], where: str = "", parameters: Sequence[Any] = ()) -> Iterator[R]:
        """Yield the rows of a table, checked; `where` is what follows the table's name in SQL."""
        for values in self._values(table, where, parameters):
            yield self._row(table, values)

    def _values(self, table: type[Row], where: str = "", parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self.db.execute(f"SELECT {self.columns(table)} FROM {self.prefix}{name_of(table)} {where}", parameters)

    def _row(self, table: type[R], values: Sequence[Any]) -> R:
        try:
            return checked_row(table, values, with_checksum=self.checked)
        except RowError as error:
            raise self.damage(error) from None

    def find(self, table: type[R], **values: Any) -> R | None:
        """Return the row with these values, of which there is at most one; None if there is none."""
        where = " AND ".join(f"{column} = ?" for column in values)
        return next(self.select(table, f"WHERE {where}", tuple(values.values())), None)

    def get(self, table: type[R], key: int) -> R:
        """Return the row of that key, which another row refers to."""
        row = self.find(table, key=key)
        if row is None:
            raise self.damage(f"row {key} of table {name_of(table)!r} is missing")
        return row

    def text(self, key: int) -> str:
        """Return the text of a piece."""
        if key not in self._texts:
            if len(self._texts) >= MOST_TEXTS:
                self._texts.clear()
            self._texts[key] = self.get(Piece, key).text
        return self._texts[key]

    def spans(self, where: str = "", parameters: Sequence[Any] = ()) -> Iterator[tuple[Span, bytes]]:
        """Yield ranges with their packed counts, checked."""
        for *values, counts in self.db.execute(f"SELECT {self.columns(Span)}, counts FROM {self.prefix}span {where}", parameters):
            span = self._row(Span, values)
            if not isinstance(counts, bytes) or zlib.crc32(counts) != span.checksum:
                raise self.damage(f"realizations {span.start}..{span.stop - 1} of a tally: the checksum of its counts is wrong")
            yield span, counts

    def inventory(self) -> dict[str, Inventory]:
        """Return how many rows each table has, by its name."""
        found = {row.name: row for row in self.select(Inventory)}
        for table in TABLES:
            if name_of(table) not in found:
                raise self.damage(f"the inventory of table {name_of(table)!r} is missing")
        return found

    # --- writing --------------------------------------------------------------------------------------------------

    def insert(self, table: type[Row], *values: Any, key: int | None = None, counts: bytes | None = None) -> int:
        """Add a row, and return its key, by default the next one; the values are those of all columns behind the key."""
        name, columns = name_of(table), columns_of(table)
        row = [_stored(value, kind) for value, kind in zip(values, kinds_of(table)[1:], strict=True)]
        if key is None:
            key = self.db.execute(f"SELECT COALESCE(MAX(key), 0) + 1 FROM {name}").fetchone()[0]
        checksum = row_checksum(table, (key, *row))
        blob = () if counts is None else (counts,)
        names = (*columns, "row_checksum", *(("counts",) if blob else ()))
        places = ", ".join("?" * len(names))
        self.db.execute(f"INSERT INTO {name} ({', '.join(names)}) VALUES ({places})", (key, *row, checksum, *blob))
        self._count(table, 1, checksum)
        return int(key)

    def delete(self, row: Row) -> None:
        """Take a row away that has been read."""
        self.db.execute(f"DELETE FROM {name_of(type(row))} WHERE key = ?", row[:1])
        self._count(type(row), -1, row_checksum(type(row), row))

    def replace(self, row: Row, **changes: Any) -> None:
        """Change columns of a row that has been read."""
        table = type(row)
        held = dict(zip(columns_of(table), row, strict=True))
        new = tuple(_stored(value, kind) for value, kind in zip((held | changes).values(), kinds_of(table), strict=True))
        checksum = row_checksum(table, new)
        names = [*columns_of(table)[1:], "row_checksum"]
        setting = ", ".join(f"{name} = ?" for name in names)
        self.db.execute(f"UPDATE {name_of(table)} SET {setting} WHERE key = ?", (*new[1:], checksum, row[0]))
        self._count(table, 0, row_checksum(table, row) ^ checksum)

    def _count(self, table: type[Row], more: int, flipped: int) -> None:
        self._more[table] += more
        self._flipped[table] = self._flipped.get(table, 0) ^ flipped

    def enter_inventory(self) -> None:
        """Enter what has changed since the transaction began; part of every transaction that writes rows."""
        changed, more, self._flipped, self._more = self._flipped, self._more, {}, Counter()
        for table, flipped in changed.items():
            held = self.find(Inventory, name=name_of(table))
            if held is None:
                raise self.damage(f"the inventory of table {name_of(table)!r} is missing")
            new = held._replace(rows=held.rows + more[table], checksums=held.checksums ^ flipped)
            row = (new.rows, new.checksums, row_checksum(Inventory, new), new.key)
            self.db.execute("UPDATE inventory SET rows = ?, checksums = ?, row_checksum = ? WHERE key = ?", row)

    def forget_changes(self) -> None:
        """Forget what a transaction has changed that is rolled back."""
        self._more.clear()
        self._flipped.clear()

    # --- everything -----------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """Read every row of the store.

        Raises
        ------
        StoreError
            If the file's structure, a row, the counts of a range, or the number of rows of a table is not what was stored.
        """
        (found,) = self.db.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise self.damage(found)
        inventory = self.inventory() if self.checked else {}
        for table in TABLES:
            rows, checksums = 0, 0
            for values in self._values(table):
                row = self._row(table, values)
                rows += 1
                if self.checked:
                    checksums ^= values[-1]
                else:
                    self._verify_old(row)
            held = inventory.get(name_of(table))
            if held is not None and (held.rows, held.checksums) != (rows, checksums):
                missing = f"has {rows} rows instead of {held.rows}" if rows != held.rows else "has other rows than were stored"
                raise self.damage(f"table {name_of(table)!r} {missing}")
        for _ in self.spans():
            pass

    def _verify_old(self, row: Row) -> None:
        """Check what there is to check of a row without a checksum."""
        if isinstance(row, Piece) and hashlib.sha256(row.text.encode()).digest() != row.sha256:
            raise self.damage(f"the checksum of row {row.key} of table 'piece' is wrong")
        for column, table in REFERENCES.get(type(row), {}).items():
            self.get(table, getattr(row, column))


def _stored(value: Any, kinds: tuple[type, ...]) -> Any:
    """Return a value as SQLite gives it back."""
    if value is None and NoneType in kinds:
        return None
    # SQLite keeps no negative zero.
    return kinds[0](value) + 0.0 if kinds[0] is float else kinds[0](value)

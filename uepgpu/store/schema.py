"""How the tables of a store are defined in SQL, and the version of that."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import NoneType

from uepgpu.store.errors import StoreError, damaged
from uepgpu.store.tables import (
    TABLES,
    Curve,
    Inventory,
    Member,
    Output,
    Row,
    Span,
    Verdict,
    columns_of,
    kinds_of,
    name_of,
    row_checksum,
)

__all__ = ["OLD_COLUMNS", "OLD_VERSION", "SCHEMA_VERSION", "check_tables", "check_version", "create_tables"]

SCHEMA_VERSION = 2
OLD_VERSION = 1
"""Its rows have no checksums. Such a store is read as it is, and becomes one of this version when it is opened to be written
(:mod:`uepgpu.store.migration`)."""
APPLICATION_ID = 0x75657067
"""``uepg``, in the header of the file."""

OLD_COLUMNS: dict[type[Row], str] = {
    Member: "0, sweep, position, point, series, partition, rule",
    Verdict: "0, point, rule, realizations, stopped, fraction, reason",
    Curve: "0, point, state, text",
    Output: "0, file, state",
}
"""What to select in version 1 where a table had no keys."""

SQL_TYPES = {int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}


def _create_table(table: type[Row]) -> str:
    columns = ["key INTEGER PRIMARY KEY"]
    for name, (kind, *others) in zip(columns_of(table)[1:], kinds_of(table)[1:], strict=True):
        columns.append(f"{name} {SQL_TYPES[kind]}{'' if NoneType in others else ' NOT NULL'}")
    columns.append("row_checksum INTEGER NOT NULL")
    if table is Span:
        columns += ["counts BLOB NOT NULL", "CHECK (0 <= start AND start < stop)"]
    return f"CREATE TABLE {name_of(table)} ({', '.join(columns)})"


STATEMENTS = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    *map(_create_table, (*TABLES, Inventory)),
    "CREATE UNIQUE INDEX piece_sha256 ON piece (sha256)",
    "CREATE UNIQUE INDEX tally_id ON tally (id)",
    "CREATE UNIQUE INDEX span_range ON span (tally, start, stop)",
    "CREATE UNIQUE INDEX point_id ON point (id)",
    "CREATE UNIQUE INDEX sweep_digest ON sweep (digest, name, title, text, show, options)",
    "CREATE UNIQUE INDEX member_position ON member (sweep, position)",
    "CREATE UNIQUE INDEX verdict_rule ON verdict (point, rule)",
    "CREATE UNIQUE INDEX curve_point ON curve (point)",
    "CREATE UNIQUE INDEX output_file ON output (file)",
    "CREATE UNIQUE INDEX inventory_name ON inventory (name)",
    # Spans of one tally are disjoint, so only the nearest one below the new end can be in the way.
    """CREATE TRIGGER span_disjoint BEFORE INSERT ON span WHEN NEW.start < (
  SELECT stop FROM span WHERE tally = NEW.tally AND start < NEW.stop ORDER BY start DESC LIMIT 1
) BEGIN SELECT RAISE(ABORT, 'realizations stored twice'); END""",
    # Who works on what at this moment. No result rests on it, so it has no checksums.
    "CREATE TABLE owner (key INTEGER PRIMARY KEY, host TEXT NOT NULL, process TEXT NOT NULL, beat REAL NOT NULL)",
    """CREATE TABLE claim (tally INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, owner INTEGER NOT NULL,
  PRIMARY KEY (tally, start)) WITHOUT ROWID""",
)


def create_tables(db: sqlite3.Connection) -> None:
    """Make the tables of this version, empty; within a transaction."""
    for statement in STATEMENTS:
        db.execute(statement)
    for key, table in enumerate(TABLES, start=1):
        row = Inventory(key, name_of(table), 0, 0)
        db.execute("INSERT INTO inventory VALUES (?, ?, ?, ?, ?)", (*row, row_checksum(Inventory, row)))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def check_version(db: sqlite3.Connection, path: Path | str) -> int:
    """Return the version of a store's schema; raise if the file is no store, or one of a version that cannot be read."""
    application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if application != APPLICATION_ID:
        raise StoreError(
            f"{str(path)!r} is a SQLite file, but no store of uepgpu. Name another one with --store; it is left as it is"
        )
    if version not in (OLD_VERSION, SCHEMA_VERSION):
        made = db.execute("SELECT value FROM meta WHERE key = 'made by'").fetchone()
        raise StoreError(
            f"store {str(path)!r} has schema version {version}, this uepgpu reads versions {OLD_VERSION} to {SCHEMA_VERSION}. It "
            f"was made by {made[0] if made else 'an unknown version'}: use that version, or another --store. It is left as it is"
        )
    return int(version)


def check_tables(db: sqlite3.Connection, path: Path | str) -> None:
    """Raise if the tables of a store of this version are not defined as this module defines them."""
    found = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")}
    if found != set(STATEMENTS):
        raise StoreError(damaged(path, "its tables are not defined as they were"))

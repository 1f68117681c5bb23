"""Stores of schema version 1 become stores of the present version, in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from uepgpu.store import ownership
from uepgpu.store.errors import StoreError
from uepgpu.store.rows import Rows
from uepgpu.store.schema import OLD_VERSION, SCHEMA_VERSION, create_tables
from uepgpu.store.tables import TABLES, Span

__all__ = ["migrate"]


def migrate(db: sqlite3.Connection, path: Path | str) -> None:
    """Give every row of a store its checksum; the store is then of the present version.

    Raises
    ------
    StoreError
        If it is damaged, or in use by a process of an older uepgpu; then it is left as it is.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] == OLD_VERSION:  # no other process has done it meanwhile
            _migrate(db, path)
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise


def _migrate(db: sqlite3.Connection, path: Path | str) -> None:
    for host, process, beat in db.execute("SELECT host, process, beat FROM owner"):
        if not ownership.is_dead(host, process, beat):
            raise StoreError(
                f"store {str(path)!r} is in use by an older uepgpu (process {process} on {host}), and would be changed to schema "
                f"version {SCHEMA_VERSION}. Try again when that has ended"
            )
    Rows(db, path, OLD_VERSION).verify()
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    for kind, name in db.execute("SELECT type, name FROM sqlite_master WHERE type != 'table' AND sql IS NOT NULL").fetchall():
        db.execute(f"DROP {kind} {name}")
    for name in tables:
        db.execute(f"ALTER TABLE {name} RENAME TO old_{name}")
    create_tables(db)
    old, new = Rows(db, path, OLD_VERSION, prefix="old_"), Rows(db, path, SCHEMA_VERSION)
    for table in TABLES:
        if table is Span:
            for span, counts in old.spans("ORDER BY key"):
                new.insert(Span, *span[1:], key=span.key, counts=counts)
            continue
        # The tables without keys were in the order of what they are now unique by.
        for row in old.select(table):
            new.insert(table, *row[1:], key=row[0] or None)
    new.enter_inventory()
    db.execute("INSERT INTO meta SELECT * FROM old_meta")
    for name in tables:
        db.execute(f"DROP TABLE old_{name}")

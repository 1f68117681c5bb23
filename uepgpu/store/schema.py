"""The tables of a store, and their version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from uepgpu.store.errors import StoreError

__all__ = ["SCHEMA_VERSION", "check", "create"]

SCHEMA_VERSION = 1
APPLICATION_ID = 0x75657067
"""``uepg``, in the header of the file."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Texts that many rows share: descriptions and provenance.
CREATE TABLE piece (key INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE tally (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL, times INTEGER NOT NULL, classes INTEGER NOT NULL, subproducts INTEGER NOT NULL,
  range_size INTEGER  -- realizations of about a second, as first estimated
);
CREATE TABLE span (
  key INTEGER PRIMARY KEY, tally INTEGER NOT NULL REFERENCES tally, start INTEGER NOT NULL, stop INTEGER NOT NULL,
  counts BLOB NOT NULL, checksum INTEGER NOT NULL, seconds REAL NOT NULL, provenance INTEGER NOT NULL REFERENCES piece,
  finished REAL NOT NULL, CHECK (0 <= start AND start < stop)
);
CREATE UNIQUE INDEX span_range ON span (tally, start, stop);
-- Spans of one tally are disjoint, so only the nearest one below the new end can be in the way.
CREATE TRIGGER span_disjoint BEFORE INSERT ON span WHEN NEW.start < (
  SELECT stop FROM span WHERE tally = NEW.tally AND start < NEW.stop ORDER BY start DESC LIMIT 1
) BEGIN SELECT RAISE(ABORT, 'realizations stored twice'); END;
CREATE TABLE owner (key INTEGER PRIMARY KEY, host TEXT NOT NULL, process TEXT NOT NULL, beat REAL NOT NULL);
CREATE TABLE claim (
  tally INTEGER NOT NULL REFERENCES tally, start INTEGER NOT NULL, stop INTEGER NOT NULL,
  owner INTEGER NOT NULL REFERENCES owner, PRIMARY KEY (tally, start)
) WITHOUT ROWID;
CREATE TABLE point (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tally INTEGER NOT NULL REFERENCES tally,
  frame INTEGER NOT NULL REFERENCES piece, code INTEGER NOT NULL REFERENCES piece, part INTEGER NOT NULL REFERENCES piece,
  workers INTEGER NOT NULL REFERENCES piece, deadlines INTEGER NOT NULL REFERENCES piece
);
CREATE INDEX point_tally ON point (tally);
CREATE TABLE sweep (
  key INTEGER PRIMARY KEY, name TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, show TEXT NOT NULL, options TEXT NOT NULL,
  version TEXT NOT NULL, started REAL NOT NULL,
  -- Of its points and rules: one text asks for others when a matrix file has changed.
  digest TEXT NOT NULL, UNIQUE (name, title, text, show, options, digest)
);
CREATE TABLE member (
  sweep INTEGER NOT NULL REFERENCES sweep, position INTEGER NOT NULL, point INTEGER NOT NULL REFERENCES point,
  series TEXT NOT NULL, partition TEXT NOT NULL, rule INTEGER NOT NULL REFERENCES piece, PRIMARY KEY (sweep, position)
) WITHOUT ROWID;
CREATE TABLE verdict (
  point INTEGER NOT NULL REFERENCES point, rule INTEGER NOT NULL REFERENCES piece, realizations INTEGER NOT NULL,
  stopped INTEGER NOT NULL, fraction REAL NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (point, rule)
) WITHOUT ROWID;
-- What follows from the rest, kept because it takes time: `state` says what it was made from.
CREATE TABLE curve (point INTEGER PRIMARY KEY REFERENCES point, state TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE output (file TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
"""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new store, unless another process has just done so."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _statements() -> Iterator[str]:
    statement = ""
    for line in TABLES.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def check(connection: sqlite3.Connection, path: Path | str) -> None:
    """Raise if the file is no store, or one of another version."""
    application, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if application != APPLICATION_ID:
        raise StoreError(
            f"{str(path)!r} is a SQLite file, but no store of uepgpu. Name another one with --store; it is left as it is"
        )
    if version != SCHEMA_VERSION:
        made = connection.execute("SELECT value FROM meta WHERE key = 'made by'").fetchone()
        raise StoreError(
            f"store {str(path)!r} has schema version {version}, this uepgpu reads version {SCHEMA_VERSION}. It was made by "
            f"{made[0] if made else 'an unknown version'}: use that version, or another --store. It is left as it is"
        )

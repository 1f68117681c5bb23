"""The tables of a store, their version, and opening a file that may be damaged, foreign or out of reach."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["SCHEMA_VERSION", "StoreError", "create", "is_sqlite", "open_reading", "open_writing", "translated"]

SCHEMA_VERSION = 1
APPLICATION_ID = 0x75657067
"""``uepg``, in the header of the file."""
BUSY_SECONDS = 60.0
MOST_CHECKED_BYTES = 64 * 2**20
"""Up to this size a file's structure is checked whenever it is opened to be written (about 0.1 s)."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Texts that many rows share: descriptions and provenance.
CREATE TABLE piece (key INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE tally (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL, times INTEGER NOT NULL, classes INTEGER NOT NULL, subproducts INTEGER NOT NULL,
  range_size INTEGER  -- realizations of about a second, by whoever estimated it first
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


MAGIC = b"SQLite format 3\0"
"""How every SQLite file begins."""


class StoreError(ValueError):
    """A store that cannot be used; the message is one line and says what to do."""


@contextmanager
def translated(path: Path | str) -> Iterator[None]:
    """Turn what SQLite says about a file into a :class:`StoreError` that says what happened, what is safe and what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreError(_explain(path, error)) from error


def _explain(path: Path | str, error: sqlite3.DatabaseError) -> str:
    name, text = repr(str(path)), str(error)
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL") or "disk is full" in text:
        return f"store {name}: the disk is full. Every finished range is safe; free some space and run the same command again"
    if code.startswith("SQLITE_IOERR"):
        return (
            f"store {name}: the disk refuses ({text}; {code}). Every finished range is safe; check free space, limits and the disk "
            "and run the same command again"
        )
    if code.startswith("SQLITE_READONLY") or "readonly" in text:
        return f"store {name} cannot be written: the file or its folder is read-only. Name another place with --store"
    if code.startswith("SQLITE_CANTOPEN"):
        return f"store {name} cannot be opened: its folder must exist and be writable. Name another place with --store"
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"store {name} is held by another process for more than {BUSY_SECONDS:g} s. Try again when that has ended"
    if code.startswith("SQLITE_NOTADB"):
        return f"{name} is not a store of uepgpu: it is no SQLite file. Name another one with --store; this one is left as it is"
    if code.startswith("SQLITE_CORRUPT") or "malformed" in text:
        return damaged(path, text)
    return f"store {name}: {text} ({code or type(error).__name__})"


def damaged(path: Path | str, what: str) -> str:
    """Return the message about a damaged file."""
    return (
        f"store {str(path)!r} is damaged ({' '.join(what.split())}). It is left as it is. Save what can be read with: "
        f"uepgpu combine {path} -o repaired.db, and go on with --store repaired.db, which simulates what is missing"
    )


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


def _check(connection: sqlite3.Connection, path: Path | str) -> None:
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


def open_writing(path: Path | str) -> sqlite3.Connection:
    """Open a store to be written, making it if there is none; ``":memory:"`` for one that lives in this process."""
    memory = path == ":memory:"
    with translated(path):
        new = memory or not Path(path).exists() or Path(path).stat().st_size == 0
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if not new:
                _refuse_torn(path)
                _check_if_made(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            create(connection)
            _check(connection, path)
            if not memory and Path(path).stat().st_size <= MOST_CHECKED_BYTES:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if found != "ok":
                    raise StoreError(damaged(path, found))
        except BaseException:
            connection.close()
            raise
    return connection


def _check_if_made(connection: sqlite3.Connection, path: Path | str) -> None:
    """Check the version before anything is written, unless another process is just making the file."""
    if connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
        _check(connection, path)


def open_reading(path: Path | str, *, damaged_too: bool = False) -> sqlite3.Connection:
    """Open a store to be read only; also in a folder that cannot be written, and, if asked to, one that was cut short.

    Raises
    ------
    StoreError
        If there is no such file, or it is no store, of another version, or damaged.
    """
    file = Path(path)
    if not file.is_file():
        raise StoreError(f"no store {str(path)!r}: name the file that `uepgpu sweep --store` wrote")
    with translated(path):
        if not damaged_too:
            _refuse_torn(path)
        connection = _connect_reading(file, damaged_too)
        try:
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _connect_reading(file: Path, damaged_too: bool) -> sqlite3.Connection:
    uri = file.resolve().as_uri()
    # Not mode=ro: a reader of a WAL store could not take away the -wal and -shm files that it makes.
    connection = sqlite3.connect(f"{uri}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        if damaged_too:
            # SQLite then takes a file that is shorter than its header says for as long as it is.
            connection.execute("PRAGMA writable_schema = ON")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if file.with_name(file.name + "-wal").exists():
            raise
        # Where the folder is read-only nobody can be writing, and the file is all there is.
        connection = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return connection


def is_sqlite(path: Path | str) -> bool:
    """Return whether there is a file that begins as a SQLite database does."""
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _refuse_torn(path: Path | str) -> None:
    """Raise if the file is shorter than its header says: it was cut, by a copy or a disk."""
    with open(path, "rb") as file:
        header = file.read(100)
        size = file.seek(0, 2)
    if len(header) < 100 or not header.startswith(MAGIC):
        raise StoreError(
            f"{str(path)!r} is not a store of uepgpu: it is no SQLite file. Name another one; this one is left as it is"
        )
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    if header[24:28] == header[92:96] and pages * page > size and not Path(f"{path}-wal").exists():
        raise StoreError(damaged(path, f"the file ends after {size:,} of {pages * page:,} bytes"))

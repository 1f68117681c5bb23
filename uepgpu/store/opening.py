"""Opening the file of a store, which may be damaged, foreign or out of reach."""

from __future__ import annotations

import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from uepgpu.checks import shown
from uepgpu.files import expand
from uepgpu.store import ownership
from uepgpu.store.errors import BUSY_SECONDS, UNREADABLE, StoreError, StoreWarning, damaged, translated
from uepgpu.store.migration import migrate
from uepgpu.store.rows import Rows
from uepgpu.store.schema import OLD_VERSION, SCHEMA_VERSION, check_tables, check_version, create_tables

__all__ = ["MAGIC", "is_sqlite", "open_damaged", "open_writing", "reading", "use_log"]

MAGIC = b"SQLite format 3\0"
"""How every SQLite file begins."""


def open_writing(path: Path | str) -> Rows:
    """Open a store to be written, making it if there is none; ``":memory:"`` for one that lives in this process.

    All of it is read and checked. A store of an older schema becomes one of the present version.

    Raises
    ------
    StoreError
        If it cannot be used; then it is left as it is.
    """
    memory = path == ":memory:"
    with translated(path):
        new = memory or not Path(path).exists() or Path(path).stat().st_size == 0
        log = _has_log(path)
        if not new:
            _refuse_torn(path, log)
        # An absolute path: SQLite may take a name that begins with "file:" for a URI.
        place = path if memory else Path(path).absolute()
        db = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if not new:
                _check_if_made(db, path, log)
            use_log(db)
            _create(db)
            if check_version(db, path) == OLD_VERSION:
                migrate(db, path)
            rows = Rows(db, path, SCHEMA_VERSION)
            _verify(rows)
        except BaseException:
            db.close()
            raise
    return rows


def _check_if_made(db: sqlite3.Connection, path: Path | str, log: bool) -> None:
    """Check the version before anything is written, unless another process is just making the file."""
    if db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
        _tell_lost_log(db, path, check_version(db, path), log)


def _create(db: sqlite3.Connection) -> None:
    """Make the tables of a new store, unless there are any, and see to it that they are in the file itself."""
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    try:
        # A file of any other program has a table or a number.
        numbers = ("SELECT COUNT(*) FROM sqlite_master", "PRAGMA application_id", "PRAGMA user_version")
        new = not any(db.execute(number).fetchone()[0] for number in numbers)
        if new:
            create_tables(db)
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise
    if new:
        db.execute("PRAGMA wal_checkpoint(FULL)")


def use_log(db: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, which SQLite refuses at once while another process does the same."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not str(error).startswith("database is locked") or time.monotonic() > until:
                raise
        time.sleep(0.05)


def _has_log(path: Path | str) -> bool:
    """Return whether a write-ahead log lies beside a file; to be asked before SQLite reads the file, which makes one."""
    return Path(f"{path}-wal").exists()


def _verify(rows: Rows) -> None:
    """Read everything, as it is at one moment whatever is written meanwhile."""
    rows.db.execute("BEGIN")
    try:
        check_tables(rows.db, rows.path)
        rows.verify()
    finally:
        if rows.db.in_transaction:
            rows.db.execute("ROLLBACK")


def _tell_lost_log(db: sqlite3.Connection, path: Path | str, version: int, log: bool) -> None:
    """Warn if a process was writing when the file was copied or left, and its write-ahead log is not beside it."""
    if version == SCHEMA_VERSION and not log and db.execute("SELECT COUNT(*) FROM owner").fetchone()[0]:
        warnings.warn(
            f"store {str(path)!r} was copied while it was in use, or its last process was killed. What was finished in the last "
            f"moments may be in a file {Path(path).name}-wal that was left behind; what is missing is simulated again",
            StoreWarning,
            stacklevel=2,
        )


def _note_recovery(db: sqlite3.Connection) -> None:
    """Remove the processes that were killed: their log is read here, and when this is closed it will be in the file itself.

    A later reader would not find the log, and take the file for one whose log is lost.
    """
    db.execute("PRAGMA query_only = OFF")
    # Another process is writing, or the file is read-only: then the log stays.
    with suppress(sqlite3.OperationalError):
        db.execute("PRAGMA busy_timeout = 0")
        db.execute("BEGIN IMMEDIATE")
        ownership.release_dead_owners(db)
        db.execute("COMMIT")
    if db.in_transaction:
        db.execute("ROLLBACK")
    db.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_SECONDS)}")
    db.execute("PRAGMA query_only = ON")


@contextmanager
def reading(path: Path | str) -> Iterator[Rows]:
    """Open a store to be read only, as it is at this moment whatever is written meanwhile; also in a folder that cannot be written.

    All of it is read and checked.

    Raises
    ------
    StoreError
        If there is no such file, or it is no store, of another version, or damaged.
    """
    path = _existing(path)
    log = _has_log(path)
    _refuse_torn(path, log)
    with translated(path), closing(_connect_reading(Path(path), damaged_too=False)) as db:
        version = check_version(db, path)
        _tell_lost_log(db, path, version, log)
        if log and version == SCHEMA_VERSION:
            _note_recovery(db)
        rows = Rows(db, path, version)
        db.execute("BEGIN")
        if rows.checked:
            check_tables(db, path)
        rows.verify()
        yield rows


def open_damaged(path: Path | str) -> Rows:
    """Open what there is of a store, to save what can be read; nothing is checked.

    Raises
    ------
    StoreError
        If there is no such file, or it is no store, or of another version.
    """
    path = _existing(path)
    with translated(path):
        db = _connect_reading(Path(path), damaged_too=True)
        try:
            return Rows(db, path, check_version(db, path))
        except BaseException:
            db.close()
            raise


def _existing(path: Path | str) -> Path:
    """Return the file that a name means."""
    try:
        file = expand("the name of a store", path)
    except ValueError as error:
        raise StoreError(str(error)) from None
    if not file.is_file():
        raise StoreError(f"no store {shown(str(path))}: name the file that `uepgpu sweep --store` wrote")
    return file


def _connect_reading(file: Path, *, damaged_too: bool) -> sqlite3.Connection:
    uri = file.resolve().as_uri()
    log = _has_log(file)
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
        if log:
            raise
        # Where the folder is read-only nobody can be writing, and the file is all there is.
        connection = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except UNREADABLE:
        connection.close()
        raise
    return connection


def is_sqlite(path: Path | str) -> bool:
    """Return whether there is a file that begins as a SQLite database does."""
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _refuse_torn(path: Path | str, log: bool) -> None:
    """Raise if the file is shorter than its header says: it was cut, by a copy or a disk.

    To be asked before SQLite opens the file: when a process closes a file, it loses all locks that it has on it.
    """
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
    if header[24:28] == header[92:96] and pages * page > size and not log:
        raise StoreError(damaged(path, f"the file ends after {size:,} of {pages * page:,} bytes"))

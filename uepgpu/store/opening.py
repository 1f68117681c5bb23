"""Opening the file of a store, which may be damaged, foreign or out of reach."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from uepgpu.store.errors import BUSY_SECONDS, StoreError, damaged, translated
from uepgpu.store.schema import check, create

__all__ = ["is_sqlite", "open_reading", "open_writing"]

MAGIC = b"SQLite format 3\0"
"""How every SQLite file begins."""
MOST_CHECKED_BYTES = 64 * 2**20
"""Up to this size a file's structure is checked whenever it is opened to be written (about 0.1 s)."""


def open_writing(path: Path | str) -> sqlite3.Connection:
    """Open a store to be written, making it if there is none; ``":memory:"`` for one that lives in this process."""
    memory = path == ":memory:"
    with translated(path):
        new = memory or not Path(path).exists() or Path(path).stat().st_size == 0
        # An absolute path: SQLite may take a name that begins with "file:" for a URI.
        place = path if memory else Path(path).absolute()
        connection = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if not new:
                _refuse_torn(path)
                _check_if_made(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            create(connection)
            check(connection, path)
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
        check(connection, path)


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
            check(connection, path)
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

"""What goes wrong with the file of a store, as one line that says what happened, what is safe and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["BUSY_SECONDS", "UNREADABLE", "StoreError", "StoreLost", "StoreWarning", "damaged", "translated"]

BUSY_SECONDS = 60.0
"""How long a process waits for another one that writes."""
UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What sqlite3 raises for a file that is damaged; the second where SQLite's own message repeats bytes of the file."""


class StoreError(ValueError):
    """A store that cannot be used; the message is one line and says what to do."""


class StoreLost(StoreError):
    """A store whose file is not there any more; the message says where what it held is."""


class StoreWarning(UserWarning):
    """Something about a store that its user should know, and that makes no result wrong."""


@contextmanager
def translated(path: Path | str) -> Iterator[None]:
    """Turn what SQLite says about a file into a :class:`StoreError` that says what happened, what is safe and what to do."""
    try:
        yield
    except UNREADABLE as error:
        raise StoreError(_explain(path, error)) from error


def _explain(path: Path | str, error: sqlite3.DatabaseError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return damaged(path, "it holds a name or a text that is no UTF-8")
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
    if isinstance(error, sqlite3.IntegrityError):
        return f"store {name}: {text} ({code or type(error).__name__})"
    # The statements are right for every store, so what SQLite cannot make of the file is damage.
    return damaged(path, text)


def damaged(path: Path | str, what: str) -> str:
    """Return the message about a damaged file."""
    return (
        f"store {str(path)!r} is damaged ({' '.join(what.split())}). It is left as it is. Save what can be read with: "
        f"uepgpu combine {path} -o repaired.db, and go on with --store repaired.db, which simulates what is missing"
    )

"""A store that is open to be written: its file, its transactions, and the texts that many rows share."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uepgpu.store.errors import UNREADABLE, StoreError, StoreLost, translated
from uepgpu.store.opening import open_writing, use_log
from uepgpu.store.rows import Rows
from uepgpu.store.schema import SCHEMA_VERSION
from uepgpu.store.tables import Piece

__all__ = ["Connection"]

MOST_PIECES = 4096
"""Keys of texts that are remembered, so that memory stays flat."""
LOG_SECONDS = 1.0
"""So often what is finished is copied from the write-ahead log to the file itself, which is then a whole store by itself."""


class Connection:
    """What every part of a store writes through.

    Parameters
    ----------
    path : path or ":memory:"

    Raises
    ------
    StoreError
        If it cannot be used; the message says why and what to do. Nothing is changed then.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._rows = open_writing(path)
        self._identity = _identity(path)
        self._pieces: dict[str, int] = {}
        self._emptied = time.monotonic()

    @property
    def _db(self) -> sqlite3.Connection:
        return self._rows.db

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Write something as a whole or not at all.

        Raises
        ------
        StoreLost
            If the file that was opened is not there any more: then all of it, with what is written now, is in another file.
        """
        with translated(self.path):
            lost = None if _identity(self.path) == self._identity else self._rescue()
            # What is not durable can be lost with the power, never be half there: claims, verdicts, descriptions come again.
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._rows.enter_inventory()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.rollback()
                self._rows.forget_changes()
                self._pieces.clear()
                raise
            if durable and time.monotonic() - self._emptied >= LOG_SECONDS:
                self._empty_log()
        if lost is not None:
            raise lost

    def _empty_log(self) -> None:
        """Copy to the file itself what is in the write-ahead log, as far as no reader needs the file as it was."""
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._emptied = time.monotonic()

    def _rescue(self) -> StoreLost:
        """Go on in a new file beside the one that is gone; return the error to raise when what is in hand has been written.

        The file that was opened can still be read, though it has no name any more.
        """
        gone = f"store {str(self.path)!r} was deleted, moved or replaced while it was in use"
        file = Path(f"{self.path}.rescued-{os.getpid()}.db")
        old = self._db
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(exist_ok=False)
            new = sqlite3.connect(file.absolute(), isolation_level=None, check_same_thread=False)
            old.backup(new)
            use_log(new)
        except (OSError, *UNREADABLE) as error:
            raise StoreError(f"{gone}, and what it held could not be written to {str(file)!r} ({error})") from None
        old.close()
        self.path, self._identity, self._rows = file, _identity(file), Rows(new, file, SCHEMA_VERSION)
        return StoreLost(f"{gone}. Everything that it held is in {str(file)!r}: resume with --store {file}")

    def _piece(self, text: str) -> int:
        if text not in self._pieces:
            digest = hashlib.sha256(text.encode()).digest()
            held = self._rows.find(Piece, sha256=digest)
            if len(self._pieces) > MOST_PIECES:
                self._pieces.clear()
            self._pieces[text] = self._rows.insert(Piece, digest, text) if held is None else held.key
        return self._pieces[text]


def _identity(path: Path | str) -> tuple[tuple[int, int] | None, ...]:
    """Return what tells a file and its write-ahead log from others of their names; None for one that is not there."""
    found: list[tuple[int, int] | None] = []
    for name in (path, f"{path}-wal"):
        try:
            status = os.stat(name)
            found.append((status.st_dev, status.st_ino))
        except OSError:
            found.append(None)
    return tuple(found)

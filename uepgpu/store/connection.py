"""A store that is open to be written: its file, its transactions, and the texts that many rows share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uepgpu.store.opening import open_writing

__all__ = ["Connection"]

MOST_PIECES = 4096
"""Keys of texts that are remembered, so that memory stays flat."""


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
        self._db = open_writing(path)
        self._pieces: dict[str, int] = {}

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[None]:
        # What is not durable can be lost with the power, never be half there: claims, verdicts, descriptions come again.
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.rollback()
            raise

    def _piece(self, text: str) -> int:
        if text not in self._pieces:
            digest = hashlib.sha256(text.encode()).digest()
            self._db.execute("INSERT OR IGNORE INTO piece (sha256, text) VALUES (?, ?)", (digest, text))
            key = self._db.execute("SELECT key FROM piece WHERE sha256 = ?", (digest,)).fetchone()[0]
            if len(self._pieces) > MOST_PIECES:
                self._pieces.clear()
            self._pieces[text] = key
        return self._pieces[text]

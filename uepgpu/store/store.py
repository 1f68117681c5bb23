"""The store of a sweep: one SQLite file in which every finished range of realizations is safe.

What holds, whatever happens to the processes that write:

* A finished range is one transaction that the disk has confirmed (WAL, synchronous = FULL). A process that is killed loses the
  ranges that it was running, and nothing else.
* Ranges of one tally never overlap: a trigger refuses a second one. They add up: counts are checked against their range and
  a checksum when they are written and whenever they are read.
* Several processes share a store by claims: the process that claims a range runs it, the others take the next one. Claims only
  save work; correctness rests on the trigger alone. Claims of processes that have ended are taken over
  (:mod:`uepgpu.store.ownership`).
* Everything that a result needs is in the file: descriptions, specification, rules, verdicts; what was computed where, when
  and with which versions.

A file must not be shared by machines through a network file system: SQLite's WAL needs shared memory. Machines work together
through dask, or each on a store of its own and ``uepgpu combine``.
"""

from __future__ import annotations

from pathlib import Path

from uepgpu import __version__
from uepgpu.store.claims import Claim
from uepgpu.store.errors import UNREADABLE, StoreError, StoreLost
from uepgpu.store.members import Members, StoredMember
from uepgpu.store.spans import Spans
from uepgpu.store.verdicts import Kept, Verdicts

__all__ = ["Claim", "Store", "StoredMember"]


class Store(Spans, Members, Verdicts, Kept):
    """A store opened to be written; a context manager.

    Parameters
    ----------
    path : path or ":memory:"

    Raises
    ------
    StoreError
        If it cannot be used; the message says why and what to do. Nothing is changed then.

    Examples
    --------
    >>> with Store(":memory:") as store:
    ...     store.realizations()
    0
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('made by', ?)", (f"uepgpu {__version__}",))

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is claimed, leave the file whole by itself, and close it.

        Raises
        ------
        StoreLost
            If the file is not there any more.
        """
        try:
            if not self._release_and_empty():
                # A full disk may have room once the log is in the file.
                self._release_and_empty()
        finally:
            self._db.close()

    def _release_and_empty(self) -> bool:
        """Give back what is claimed and empty the log; return whether the disk allowed it.

        If not, that has been reported by whatever met it first, and what is claimed is found to be that of a dead process.
        """
        allowed = True
        try:
            with self._transaction():
                self._release_all()
        except StoreLost:
            raise
        except StoreError:
            allowed = False
        try:
            self._empty_log()
        except UNREADABLE:
            allowed = False
        return allowed

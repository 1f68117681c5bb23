"""What the stop rules said of points, and what follows from stored ranges and takes time to make."""

from __future__ import annotations

from collections.abc import Sequence

from uepgpu.points.stop import Verdict
from uepgpu.store.connection import Connection
from uepgpu.store.errors import translated
from uepgpu.store.members import StoredMember

__all__ = ["Kept", "Verdicts"]


class Verdicts(Connection):
    """The latest verdict of every point under its rule."""

    def verdict(self, member: StoredMember) -> Verdict | None:
        """Return the latest verdict on a point under its rule."""
        query = "SELECT realizations, stopped, fraction, reason FROM verdict WHERE point = ? AND rule = ?"
        with translated(self.path):
            found = self._db.execute(query, (member.point, member.rule)).fetchone()
        return None if found is None else Verdict(found[0], bool(found[1]), found[2], found[3])

    def verdicts(self, members: Sequence[StoredMember]) -> dict[tuple[int, int], Verdict]:
        """Return the latest verdict of every (point, rule) that has one."""
        wanted = {(m.point, m.rule) for m in members}
        with translated(self.path):
            rows = self._db.execute("SELECT point, rule, realizations, stopped, fraction, reason FROM verdict")
            return {(p, r): Verdict(n, bool(s), f, text) for p, r, n, s, f, text in rows if (p, r) in wanted}

    def forget(self, member: StoredMember) -> None:
        """Take back the verdict on a point under its rule."""
        with translated(self.path), self._transaction():
            self._db.execute("DELETE FROM verdict WHERE point = ? AND rule = ?", (member.point, member.rule))

    def judge(self, member: StoredMember, verdict: Verdict) -> None:
        """Keep a verdict, unless a later one is known."""
        row = (member.point, member.rule, verdict.realizations, int(verdict.stopped), verdict.fraction, verdict.reason)
        with translated(self.path), self._transaction():
            self._db.execute(
                "INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET realizations = excluded.realizations, "
                "stopped = excluded.stopped, fraction = excluded.fraction, reason = excluded.reason "
                "WHERE excluded.realizations > realizations",
                row,
            )


class Kept(Connection):
    """Curves, and what files outside were made from; each with a `state` that says what it was made from."""

    def kept_curve(self, point: int, state: str) -> str | None:
        """Return what :meth:`keep_curve` kept of a point, if it was made from `state`."""
        with translated(self.path):
            found = self._db.execute("SELECT text FROM curve WHERE point = ? AND state = ?", (point, state)).fetchone()
        return None if found is None else str(found[0])

    def keep_curves(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Keep curves: point, what each was made from, its text."""
        with translated(self.path), self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO curve VALUES (?, ?, ?)", rows)

    def kept_output(self, file: str) -> str | None:
        """Return what a file that was written outside was made from; None if this store does not know."""
        with translated(self.path):
            found = self._db.execute("SELECT state FROM output WHERE file = ?", (file,)).fetchone()
        return None if found is None else str(found[0])

    def keep_output(self, file: str, state: str) -> None:
        """Remember what a file that is written outside was made from."""
        with translated(self.path), self._transaction():
            self._db.execute("INSERT OR REPLACE INTO output VALUES (?, ?)", (file, state))

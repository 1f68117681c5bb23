"""What the stop rules said of points, and what follows from stored ranges and takes time to make."""

from __future__ import annotations

from collections.abc import Sequence

from uepgpu.points.stop import Verdict
from uepgpu.store import tables
from uepgpu.store.connection import Connection
from uepgpu.store.errors import translated
from uepgpu.store.members import StoredMember

__all__ = ["Kept", "Verdicts"]


def _verdict(row: tables.Verdict) -> Verdict:
    return Verdict(row.realizations, bool(row.stopped), row.fraction, row.reason)


class Verdicts(Connection):
    """The latest verdict of every point under its rule."""

    def verdict(self, member: StoredMember) -> Verdict | None:
        """Return the latest verdict on a point under its rule."""
        with translated(self.path):
            found = self._rows.find(tables.Verdict, point=member.point, rule=member.rule)
        return None if found is None else _verdict(found)

    def verdicts(self, members: Sequence[StoredMember]) -> dict[tuple[int, int], Verdict]:
        """Return the latest verdict of every (point, rule) that has one."""
        wanted = {(m.point, m.rule) for m in members}
        with translated(self.path):
            rows = self._rows.select(tables.Verdict)
            return {(row.point, row.rule): _verdict(row) for row in rows if (row.point, row.rule) in wanted}

    def forget(self, member: StoredMember) -> None:
        """Take back the verdict on a point under its rule."""
        with self._transaction():
            held = self._rows.find(tables.Verdict, point=member.point, rule=member.rule)
            if held is not None:
                self._rows.delete(held)

    def judge(self, member: StoredMember, verdict: Verdict) -> None:
        """Keep a verdict, unless a later one is known."""
        new = (verdict.realizations, verdict.stopped, verdict.fraction, verdict.reason)
        with self._transaction():
            held = self._rows.find(tables.Verdict, point=member.point, rule=member.rule)
            if held is None:
                self._rows.insert(tables.Verdict, member.point, member.rule, *new)
            elif verdict.realizations > held.realizations:
                self._rows.replace(held, **dict(zip(("realizations", "stopped", "fraction", "reason"), new, strict=True)))


class Kept(Connection):
    """Curves, and what files outside were made from; each with a `state` that says what it was made from."""

    def kept_curve(self, point: int, state: str) -> str | None:
        """Return what :meth:`keep_curves` kept of a point, if it was made from `state`."""
        with translated(self.path):
            found = self._rows.find(tables.Curve, point=point)
        return None if found is None or found.state != state else found.text

    def keep_curves(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Keep curves: point, what each was made from, its text."""
        with self._transaction():
            for point, state, text in rows:
                held = self._rows.find(tables.Curve, point=point)
                if held is None:
                    self._rows.insert(tables.Curve, point, state, text)
                else:
                    self._rows.replace(held, state=state, text=text)

    def kept_output(self, file: str) -> str | None:
        """Return what a file that was written outside was made from; None if this store does not know."""
        with translated(self.path):
            found = self._rows.find(tables.Output, file=file)
        return None if found is None else found.state

    def keep_output(self, file: str, state: str) -> None:
        """Remember what a file that is written outside was made from."""
        with self._transaction():
            held = self._rows.find(tables.Output, file=file)
            if held is None:
                self._rows.insert(tables.Output, file, state)
            else:
                self._rows.replace(held, state=state)

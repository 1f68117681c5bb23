"""How far a sweep is: a live table on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from uepgpu.points.point import Point
    from uepgpu.sweep.collect import Collection, Status

__all__ = ["Display", "duration"]

LINE_SECONDS = 60.0
WINDOW_SECONDS = 30.0
"""Speed is that of so long a while."""
OVERHEAD = 5
"""Lines of a window that the table's rows do not get."""


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> duration(12.3), duration(3700), duration(1e6)
    ('12 s', '1 h 01 min', '11 d 13 h')
    """
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _remaining(status: Status) -> float:
    """Return how many realizations a point still needs: what its rule says of the way so far, at most what it may have."""
    most = max(status.point.realizations - status.realizations, 0)
    if status.stopped:
        return 0.0
    if status.verdict is None or status.verdict.fraction <= 0:
        return float(most)
    return min(float(most), max(status.verdict.realizations / status.verdict.fraction - status.realizations, 0.0))


class Display:
    """Progress of a collection on `stream`, which is stderr.

    Parameters
    ----------
    collection : Collection
    stream : text file
    compiling : callable
        Whether kernels are being compiled.
    quiet : bool
        Write nothing.
    """

    def __init__(
        self, collection: Collection, stream: IO[str], compiling: Callable[[], bool] = lambda: False, *, quiet: bool = False
    ) -> None:
        self.collection, self.stream, self.compiling, self.quiet = collection, stream, compiling, quiet
        self.done = 0
        self.began = self._last_line = time.monotonic()
        self._marks = [(self.began, 0)]
        self.note = ""

    def advance(self, point: Point, count: int) -> None:
        """Take in that `count` realizations of a point are done."""
        self.done += count
        now = time.monotonic()
        if now - self._marks[-1][0] > 0.5:
            self._marks.append((now, self.done))
            while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW_SECONDS:
                self._marks.pop(0)

    @property
    def waiting(self) -> bool:
        """Whether nothing has come of what runs: kernels are compiled, or it has just begun."""
        return self.done == 0 or self.compiling()

    def tick(self) -> None:
        """Write the line that is due."""
        now = time.monotonic()
        if not self.quiet and not self.stream.isatty() and now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            print(self.line(), file=self.stream, flush=True)

    @property
    def rate(self) -> float:
        """Realizations a second, lately."""
        (then, before), now = self._marks[0], time.monotonic()
        return (self.done - before) / max(now - then, 1e-9)

    def line(self) -> str:
        """Return how far it is in one line."""
        status = self.collection.status
        # Of the points that share a tally, the one that needs most decides.
        needed: dict[int, float] = {}
        for member, one in zip(self.collection.members, status, strict=True):
            needed[member.tally] = max(needed.get(member.tally, 0.0), _remaining(one))
        left, rate = sum(needed.values()), self.rate
        stopped = f"{sum(s.stopped for s in status)} of {len(status)} points done"
        if left and self.waiting:
            now = "compiling kernels, which is done once" if self.compiling() else "starting"
            return f"{stopped}, {now}{self.note}"
        eta = "done" if left == 0 else f"at most {duration(left / rate)} left" if rate > 0 else "no estimate yet"
        return f"{stopped}, {self.done:,} realizations added, {rate:.3g} realizations/s, {eta}{self.note}"

    def furthest(self, most: int) -> list[Status]:
        """Return at most `most` points that are not done, those first that still need most of their way."""
        return sorted((s for s in self.collection.status if not s.stopped), key=_share)[:most]

    def table(self, height: int) -> RenderableType:
        """Return the live table, `height` lines high."""
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        rows = self.furthest(max(height - OVERHEAD, 1))
        reasons = any(s.verdict for s in rows)
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), expand=True)
        # Labels give way to figures where the terminal is narrow.
        table.add_column("furthest from done", no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column("realizations", justify="right", no_wrap=True, min_width=13)
        table.add_column("done", justify="right", no_wrap=True, min_width=4)
        if reasons:
            table.add_column("stop rule", no_wrap=True, overflow="ellipsis", min_width=38)
        for status in rows:
            cells = [status.point.describe(), f"{status.realizations:,}", f"{_share(status):.0%}"]
            cells += [status.verdict.reason if status.verdict else ""] if reasons else []
            table.add_row(*map(Text, cells))
        return Group(Text(self.line(), style="bold"), table)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the live table while the block runs, on a terminal."""
        if self.quiet or not self.stream.isatty():
            yield
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self.stream)
        with Live(get_renderable=lambda: self.table(console.height), console=console, refresh_per_second=4, transient=True):
            yield


def _share(status: Status) -> float:
    """Return how much of its way a point has behind it; before its rule is asked the count is all that is known."""
    return status.verdict.fraction if status.verdict else min(status.realizations / status.point.realizations, 1.0)

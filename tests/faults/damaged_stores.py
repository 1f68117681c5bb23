"""Damage to the file of a store: bits flipped at random, pages zeroed, the end cut off.

Every reader must return the same numbers, or end with exit code 2 and one line; `uepgpu combine` must save sound ranges only. Each
store is read by ``export`` and ``combine``; a sweep is run on each page and truncation, and on every fourth flipped bit.
``python -m tests.faults.damaged_stores --flips 1000 --seed 1`` tries it and prints a table.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from tests.faults.tally import OTHER, RAISED, WRONG, Row, script
from uepgpu.cli import main

SPEC = """
realizations = 30_000
seed = 7
deadlines = [0.3, 1, 3]
gamma = [0.40, 0.35, 0.25]

[stop]
relative_error = 0.05
first = 500

[workers]
count = 12
omega = "fair"
work = ["unit", "true"]

[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]

[[series]]
code = "ew"

[[series]]
code = { name = "ew", encoding = "factored", window = "nested" }
label = "nested"

[[series]]
code = "mds"
"""
SAME, REFUSED = "read: same numbers", "read: refused in one line"
FLIPS = "one bit of a store flipped"
PAGE = 4096
KILOBYTE = 1024


def call(*arguments: str | Path) -> tuple[int, str, str]:
    """Run the command line in this process; return its exit code, stdout and stderr; -1 and the traceback if it raises."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["uepgpu", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue(), err.getvalue()
    except BaseException:
        return -1, out.getvalue(), traceback.format_exc()
    finally:
        sys.argv = before
    raise AssertionError("the command line always ends by SystemExit")


def make(folder: Path) -> Path:
    """Return a finished store with several rows in every table, and its specification ``mine.toml`` beside it."""
    (folder / "mine.toml").write_text(SPEC)
    code, _, err = call(
        "sweep", folder / "mine.toml", "--out", folder / "made", "--store", folder / "whole.db", "--backend", "numpy"
    )
    assert code == 0, err
    return folder / "whole.db"


def ranges_of(store: Path) -> set[tuple[object, ...]]:
    """Return the ranges of a store that is sound: tally, start, stop and counts."""
    query = "SELECT id, start, stop, counts FROM span JOIN tally ON tally.key = span.tally"
    with closing(sqlite3.connect(store)) as db:
        return set(db.execute(query))


class Trial:
    """Reads damaged copies of one store, and compares.

    Parameters
    ----------
    folder : Path
        To work in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.whole = folder, make(folder)
        self.content = self.whole.read_bytes()
        self.ranges = ranges_of(self.whole)
        self.copy, self.csv = folder / "copy.db", folder / "x.csv"
        self.expected = {name: read() for name, read in self._readers(self.whole).items()}
        assert set(self.expected) == {"export", "sweep"}

    def _readers(self, store: Path) -> dict[str, Callable[[], tuple[int, str, bytes]]]:
        """Return what reads a store: each returns exit code, stderr and the table that it writes."""

        def export() -> tuple[int, str, bytes]:
            self.csv.unlink(missing_ok=True)
            code, _, err = call("export", store, "--csv", self.csv)
            return code, err, self.csv.read_bytes() if self.csv.exists() else b""

        def sweep() -> tuple[int, str, bytes]:
            table = self.folder / "out" / "table.csv"
            table.unlink(missing_ok=True)
            options = ("--out", self.folder / "out", "--store", store, "--backend", "numpy")
            code, _, err = call("sweep", self.folder / "mine.toml", *options)
            return code, err, table.read_bytes() if table.exists() else b""

        return {"export": export, "sweep": sweep}

    def try_on(self, content: bytes, what: str, row: Row, readers: Sequence[str]) -> None:
        """Read a damaged file, and save what can be saved."""
        row.tried += 1
        for name in readers:
            self._write(content)
            code, err, table = self._readers(self.copy)[name]()
            if (code, table) == (0, self.expected[name][2]):
                row.outcomes[SAME] += 1
            elif code == -1 or "Traceback" in err:
                row.bad(RAISED, f"{what}: {name}", err)
            elif code != 2 or table:
                row.bad(WRONG, f"{what}: {name}: exit code {code}", err)
            elif err.count("\n") != 1 or len(err) >= 1000:
                row.bad(OTHER, f"{what}: {name}: not one line", err)
            else:
                row.outcomes[REFUSED] += 1
        self._write(content)
        self._combine(what, row)

    def _combine(self, what: str, row: Row) -> None:
        target = self.folder / "saved.db"
        target.unlink(missing_ok=True)
        code, out, err = call("combine", self.copy, "-o", target)
        if code == -1 or "Traceback" in err:
            row.bad(RAISED, f"{what}: combine", err)
        elif code == 2:
            if err.count("\n") == 1:
                row.outcomes["combine: refused in one line"] += 1
            else:
                row.bad(OTHER, f"{what}: combine: not one line", err)
        else:
            saved = ranges_of(target)
            partly = 0 < len(saved) < len(self.ranges)
            if not saved <= self.ranges or (partly and call("export", target, "--csv", self.csv)[0] != 0):
                row.bad(WRONG, f"{what}: combine", out)
            else:
                row.outcomes[f"combine: saved {'all' if saved == self.ranges else 'some' if saved else 'no'} ranges"] += 1

    def _write(self, content: bytes) -> None:
        for end in ("-wal", "-shm"):
            Path(f"{self.copy}{end}").unlink(missing_ok=True)
        self.copy.write_bytes(content)


def flips(content: bytes, number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield copies with one bit flipped."""
    chance = random.Random(seed)
    for _ in range(number):
        at, bit = chance.randrange(len(content)), chance.randrange(8)
        yield f"bit {bit} of byte {at}", content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def pages(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield copies with one page zeroed."""
    for at in range(0, len(content), PAGE):
        yield f"page {at // PAGE}", content[:at] + bytes(PAGE) + content[at + PAGE :]


def truncations(content: bytes, step: int = KILOBYTE) -> Iterator[tuple[str, bytes]]:
    """Yield beginnings of the file."""
    for size in range(0, len(content), step):
        yield f"{size} bytes", content[:size]


def run(trial: Trial, kinds: dict[str, Iterator[tuple[str, bytes]]], sweep_every: int = 1) -> Iterator[Row]:
    """Try every kind of damage: `export` and `combine` on each, and a sweep on every so many."""
    for kind, damaged in kinds.items():
        row = Row(kind)
        for number, (what, content) in enumerate(damaged):
            trial.try_on(content, what, row, ("export", "sweep") if number % sweep_every == 0 else ("export",))
        yield row


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of the long trial."""
    trial = Trial(folder)
    content = trial.content
    yield from run(trial, {FLIPS: flips(content, given.flips, given.seed)}, sweep_every=4)
    if given.whole:
        kinds = {
            f"each page of {PAGE:,} bytes of a store zeroed": pages(content),
            "a store cut after each kilobyte": truncations(content),
        }
        yield from run(trial, kinds)


if __name__ == "__main__":
    script(rows, flips=1000, seed=1, whole=1)

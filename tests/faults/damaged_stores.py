"""Damage to the file of a store: bits flipped at random, pages zeroed, the end cut off.

Every reader must return the same numbers, or end with exit code 2 and one line; `uepgpu combine` must save sound ranges only.
``python -m tests.faults.damaged_stores --flips 1000 --seed 1`` tries it and prints a table.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

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
OUTCOMES = ("same numbers", "refused in one line", "other numbers", "traceback", "not one line")
BAD = OUTCOMES[2:]
PAGE = 4096
KILOBYTE = 1024


@dataclass
class Count:
    """What became of one kind of damage."""

    tried: int = 0
    read: Counter[str] = field(default_factory=Counter)
    saved: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


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

    def try_on(self, content: bytes, what: str, count: Count) -> None:
        """Read a damaged file with every reader, and save what can be saved."""
        count.tried += 1
        for name in self.expected:
            self._write(content)
            code, err, table = self._readers(self.copy)[name]()
            if (code, table) == (0, self.expected[name][2]):
                outcome = "same numbers"
            elif code == -1 or "Traceback" in err:
                outcome = "traceback"
            elif code == 2 and not table:
                outcome = "refused in one line" if err.count("\n") == 1 and len(err) < 1000 else "not one line"
            else:
                outcome = "other numbers"
            count.read[outcome] += 1
            if outcome in BAD:
                count.examples.append(f"{what}: {name}: {outcome}, exit code {code}: {err.strip()[-300:]}")
        self._write(content)
        outcome, said = self._combine()
        count.saved[outcome] += 1
        if outcome in BAD:
            count.examples.append(f"{what}: combine: {outcome}: {said.strip()[-300:]}")

    def _combine(self) -> tuple[str, str]:
        target = self.folder / "saved.db"
        target.unlink(missing_ok=True)
        code, out, err = call("combine", self.copy, "-o", target)
        if code == -1 or "Traceback" in err:
            return "traceback", err
        if code == 2:
            return "refused in one line" if err.count("\n") == 1 else "not one line", err
        saved = ranges_of(target)
        if not saved <= self.ranges or call("export", target, "--csv", self.csv)[0] != 0:
            return "other numbers", out
        return f"saved {'all' if saved == self.ranges else 'some' if saved else 'no'} ranges", out

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


def run(trial: Trial, kinds: dict[str, Iterator[tuple[str, bytes]]]) -> dict[str, Count]:
    """Try every kind of damage."""
    counts = {kind: Count() for kind in kinds}
    for kind, damaged in kinds.items():
        for what, content in damaged:
            trial.try_on(content, what, counts[kind])
    return counts


def report(counts: dict[str, Count]) -> str:
    """Return a table of what became of what."""
    lines = ["| damage | tried | by two readers each | by `uepgpu combine` |", "| --- | --- | --- | --- |"]
    for kind, count in counts.items():
        read, saved = (", ".join(f"{n} {what}" for what, n in c.most_common()) for c in (count.read, count.saved))
        lines.append(f"| {kind} | {count.tried} | {read} | {saved} |")
    lines += [f"  {example}" for count in counts.values() for example in count.examples]
    return "\n".join(lines)


def main_script() -> int:
    """Run the long trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        trial = Trial(Path(folder))
        content = trial.content
        kinds = {
            f"one bit flipped (seed {given.seed})": flips(content, given.flips, given.seed),
            f"each page of {PAGE} bytes zeroed": pages(content),
            "cut after each kilobyte": truncations(content),
        }
        counts = run(trial, kinds)
    print(report(counts))
    print(f"\na store of {len(content):,} bytes, {time.monotonic() - began:,.0f} s")
    return int(any(count.examples for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main_script())

"""Counting what came of faults: one row a fault, and the promises that were broken, of which there may be none."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.child import TRACEBACK, Attempt

__all__ = ["GOOD", "LOST", "OTHER", "OVERWRITTEN", "PROMISES", "RAISED", "RAN", "REFUSED", "WRONG", "Row", "judge", "script"]

REFUSED, RAN = "refused in one line with exit 2", "ran"
GOOD = (REFUSED, RAN)
WRONG, LOST, RAISED, OVERWRITTEN, OTHER = "wrong numbers", "lost finished ranges", "tracebacks", "overwritten files", "others"
PROMISES = (WRONG, LOST, RAISED, OVERWRITTEN, OTHER)
"""What is never to happen; the last: anything else that is no good end."""
LONGEST = 300
PREFIX = "uepgpu: "
JUDGED = {"traceback": RAISED, "changed a file that was there": OVERWRITTEN}


@dataclass
class Row:
    """What came of one fault.

    Attributes
    ----------
    fault : str
    tried : int
        How often.
    outcomes : Counter of str
        The good ends; one trial may have several.
    broken : Counter of str
        Of :data:`PROMISES`.
    examples : list of str
        What was broken, in full.
    figures : str
        What was measured beside.
    """

    fault: str
    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    figures: str = ""

    def bad(self, promise: str, what: str, said: str = "") -> None:
        """Note a broken promise."""
        assert promise in PROMISES
        self.broken[promise] += 1
        self.examples.append(f"{self.fault}: {promise}: {what}: {said.strip()[-1500:]}")


def judge(found: Attempt) -> str:
    """Return in one phrase what came of a command line."""
    if found.code is None:
        return "did not end"
    if found.code == TRACEBACK or "Traceback (most recent call last)" in found.err:
        return "traceback"
    if found.changed:
        return "changed a file that was there"
    if found.code == 0:
        return RAN
    if found.code != 2:
        return f"exit code {found.code}"
    if found.err.count("\n") != 1 or not found.err.startswith(PREFIX):
        return "exit 2 without one line"
    if len(found.err.strip()) > LONGEST + len(PREFIX):
        return "exit 2 with a long line"
    if found.new:
        return "exit 2 and wrote"
    return REFUSED


def counted(fault: str, outcomes: Iterable[tuple[str, str, str]]) -> Row:
    """Return the row of outcomes as :func:`judge` names them, each with what was given and what was said."""
    row = Row(fault)
    for outcome, given, said in outcomes:
        row.tried += 1
        if outcome in GOOD:
            row.outcomes[outcome] += 1
        else:
            row.bad(JUDGED.get(outcome, OTHER), f"{outcome}: {given[:2000]}", said)
    return row


def script(trial: Callable[[Path, argparse.Namespace], Iterator[Row] | Iterable[Row]], **defaults: int) -> None:
    """Run a script in a folder of its own: print its rows and everything that was broken, exit 1 if anything was.

    Parameters
    ----------
    trial : callable
        Takes the folder and the options, and yields rows.
    **defaults : int
        The options and their defaults, say ``count=500``. With ``--json FILE`` the rows are also written there.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    target = None if given.json is None else given.json.absolute()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a job in the background of a shell ignores some, and children inherit that
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL if name != "SIGINT" else signal.default_int_handler)
    began, rows, here = time.monotonic(), [], Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for row in trial(Path(folder), given):
                rows.append(row)
                print(_line(row), flush=True)
        finally:
            os.chdir(here)
    examples = [example for row in rows for example in row.examples]
    print("\n".join(examples), f"{sum(row.tried for row in rows):,} trials, {time.monotonic() - began:,.0f} s", sep="\n")
    if target is not None:
        record: dict[str, Any] = {"seconds": round(time.monotonic() - began), "rows": [vars(row) for row in rows]}
        target.write_text(json.dumps(record))
    raise SystemExit(bool(examples))


def _line(row: Row) -> str:
    said = [f"{n} {what}" for what, n in (*row.outcomes.most_common(), *row.broken.most_common())]
    return f"{row.fault}: {row.tried} tried: {', '.join(said)}; {row.figures}"

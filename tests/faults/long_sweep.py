"""Memory of a sweep that runs for minutes. ``python -m tests.faults.long_sweep --seconds 300`` samples what its process holds."""

from __future__ import annotations

import signal
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

from tests.cases.sweeping import start, stored_ranges
from tests.faults.many_points import HEAD, resident
from tests.faults.tally import OTHER, Row, script

LONG = (
    "realizations = 1_000_000_000_000\n"
    + HEAD.replace("WORK", '["unit", "true"]')
    + '[[series]]\ncode = "ew"\n[[series]]\ncode = "now"\n[[series]]\ncode = { name = "lt" }\n'
)
FLAT = 8.0
"""MiB that the last fifth of a run may take beyond the first: pages of the database's cache that fill, no more."""


def long_sweep(folder: Path, seconds: int) -> Row:
    """Run a sweep that does not end for so long, end it with Ctrl-C, and compare the first fifth with the last."""
    row = Row(f"a sweep of {seconds} seconds", 1)
    (folder / "long.toml").write_text(LONG)
    samples: list[float] = []
    with start("sweep", "long.toml", "--out", "long", "--threads", "1", cwd=folder) as process:
        while process.poll() is None and not all_begun(folder / "long" / "store.db"):
            time.sleep(0.2)
        began = time.monotonic()
        while time.monotonic() - began < seconds and process.poll() is None:
            samples.append(resident(process.pid))
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    fifth = max(len(samples) // 5, 1)
    first, last = statistics.fmean(samples[:fifth]), statistics.fmean(samples[-fifth:])
    row.figures = f"resident memory {first:.0f} MiB in the first fifth, {last:.0f} MiB in the last, {max(samples):.0f} MiB at most"
    if process.returncode != 130 or "Traceback" in err:
        row.bad(OTHER, f"exit code {process.returncode}", err)
    if last > first + FLAT:
        row.bad(OTHER, row.figures)
    else:
        row.outcomes["flat"] += 1
    return row


def all_begun(store: Path) -> bool:
    """Return whether every point has a range: then all kernels are compiled, which takes memory of its own."""
    if not stored_ranges(store):
        return False
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
        points, begun = db.execute("SELECT (SELECT COUNT(*) FROM tally), (SELECT COUNT(DISTINCT tally) FROM span)").fetchone()
    return bool(points == begun)


if __name__ == "__main__":
    script(lambda folder, given: [long_sweep(folder, given.seconds)], seconds=300)

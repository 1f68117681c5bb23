"""Stores that are deleted, moved, replaced or copied while ``uepgpu sweep`` writes them.

``python -m tests.faults.lost_stores --times 4``: the sweep says so in one line, what it held is in a file beside, and a copy that
is taken while it runs can be read and resumed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import uepgpu as uep
from tests.cases.sweeping import run, start, stored_ranges, write_spec
from tests.faults.tally import LOST, OTHER, OVERWRITTEN, RAISED, WRONG, Row, script
from uepgpu.store.errors import StoreError, StoreWarning
from uepgpu.store.store import Store
from uepgpu.store.stored import read_points

NUMPY = ("--backend", "numpy")
SMALL = 20_000
"""Realizations of the sweep that resumes: most points have them already."""


def replace(path: Path) -> None:
    """Put another store at the name."""
    other = path.with_name("other.db")
    Store(other).close()
    other.replace(path)


LOSSES: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: [f.unlink() for f in path.parent.glob("s.db*")],
    "moved": lambda path: path.rename(path.with_name("moved.db")),
    "replaced by another": replace,
    "without its log, deleted": lambda path: Path(f"{path}-wal").unlink(),
    "gone with its folder": lambda path: shutil.rmtree(path.parent),
}


def held(path: Path) -> dict[str, int]:
    """Return the realizations of each point of a store."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        return {p.id: p.tally.realizations for p in read_points(path)}


def lose(folder: Path, loss: Callable[[Path], object], chance: random.Random, row: Row) -> None:
    """Lose a store while it is written, and see what is left."""
    row.tried += 1
    shutil.rmtree(folder / "place", ignore_errors=True)
    store = folder / "place" / "s.db"
    store.parent.mkdir()
    with start("sweep", "mine.toml", "--store", store, "--out", "out", *NUMPY, cwd=folder) as process:
        while process.poll() is None and stored_ranges(store) < 3:
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, 1.0))
        before = held(store)
        loss(store)
        other = store.read_bytes() if store.exists() and loss is replace else None
        _, err = process.communicate(timeout=300)
    if "Traceback" in err:
        row.bad(RAISED, "", err)
        return
    if process.returncode != 1 or err.count("\n") != 1:
        row.bad(OTHER, f"exit code {process.returncode}", err)
        return
    if other is not None and store.read_bytes() != other:
        row.bad(OVERWRITTEN, "the store that took its name")
    rescued = list(store.parent.glob("s.db.rescued-*.db"))
    if len(rescued) != 1 or str(rescued[0]) not in err:
        row.bad(LOST, f"{len(rescued)} rescue files", err)
        return
    after = held(rescued[0])
    if any(after.get(key, 0) < n for key, n in before.items()):
        row.bad(LOST, "realizations that were stored", err)
    else:
        row.outcomes["one line, exit code 1, all of it in a file beside"] += 1
    resume(folder, rescued[0], after, row)


def resume(folder: Path, store: Path, after: dict[str, int], row: Row) -> None:
    """Go on with a store, to fewer realizations than it has."""
    done = run("sweep", "mine.toml", "--store", store, "--out", "out", "--realizations", str(SMALL), *NUMPY, cwd=folder)
    if done.returncode != 0 or "Traceback" in done.stderr:
        row.bad(OTHER, "not resumed", done.stderr)
    elif any(held(store).get(key, 0) < n for key, n in after.items()):
        row.bad(LOST, "when resumed")
    elif not as_simulated(store):
        row.bad(WRONG, "when resumed")
    else:
        row.outcomes["resumed"] += 1


def as_simulated(store: Path) -> bool:
    """Return whether every point has the counts of :func:`uepgpu.simulate` for the realizations that it has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        points = read_points(store)
    for stored in points:
        point, tally, whole = stored.point, stored.tally, None
        options = {} if tally.domain == "count" else {"deadlines": point.deadlines}
        for first, stop in tally.ranges:
            part = uep.simulate(
                point.code,
                point.part,
                point.workers,
                realizations=stop - first,
                first_realization=first,
                seed=point.seed,
                **options,  # type: ignore[arg-type]
            )
            whole = part if whole is None else whole + part
        if whole != tally:
            return False
    return bool(points)


def copy(folder: Path, chance: random.Random, row: Row) -> None:
    """Copy the file alone while it is written, and kill the sweep."""
    row.tried += 1
    shutil.rmtree(folder / "place", ignore_errors=True)
    store, copied = folder / "place" / "s.db", folder / "place" / "copy.db"
    store.parent.mkdir()
    with start("sweep", "mine.toml", "--store", store, "--out", "out", *NUMPY, cwd=folder) as process:
        while process.poll() is None and stored_ranges(store) < 2:
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, 1.5))
        copied.write_bytes(store.read_bytes())
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    try:
        after = held(copied)
    except StoreError as error:
        if "\n" in str(error):
            row.bad(OTHER, "not one line", str(error))
        row.outcomes["refused in one line"] += 1  # a page was being written
        return
    row.outcomes["the copy is read"] += 1
    resume(folder, copied, after, row)


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows."""
    chance = random.Random(given.seed)
    write_spec(folder, error=0.0005, realizations=50_000_000)
    for name, loss in LOSSES.items():
        row = Row(f"a store {name} while it is written")
        for _ in range(given.times):
            lose(folder, loss, chance, row)
        yield row
    row = Row("the file of a store copied while it is written, then SIGKILL")
    for _ in range(given.times):
        copy(folder, chance, row)
    yield row


if __name__ == "__main__":
    script(rows, times=4, seed=1)

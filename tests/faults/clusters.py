"""Clusters that break: workers and schedulers that die, workers of another version, addresses where nobody answers.

``python -m tests.faults.clusters --times 3``
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cases.sweeping import cluster, run, same_tallies, start, stored_ranges, write_spec
from tests.faults.tally import LOST, OTHER, RAISED, WRONG, Row, script
from uepgpu.store.stored import read_points

NUMPY = ("--backend", "numpy")
OTHER_VERSION = "import uepgpu\nuepgpu.__version__ = '0.0.9'\n"


def complaints(err: str) -> str:
    """Return stderr without the lines that tell progress, one a minute."""
    return "".join(line for line in err.splitlines(keepends=True) if " points done, " not in line)


def _started(process: subprocess.Popen[str], store: Path, chance: random.Random) -> None:
    while process.poll() is None and stored_ranges(store) < 2:
        time.sleep(0.05)
    time.sleep(chance.uniform(0.0, 1.0))


def _never_met(process: subprocess.Popen[str], err: str, row: Row) -> bool:
    """Return whether the sweep did not find the cluster in time, on a busy machine: then nothing was tried."""
    never = process.returncode == 2 and "no scheduler answers there" in err and err.count("\n") == 1
    row.tried -= never
    return never


def lose_worker(folder: Path, chance: random.Random, row: Row) -> None:
    """Kill one of two workers."""
    row.tried += 1
    shutil.rmtree(folder / "out", ignore_errors=True)
    with (
        cluster(folder, 2) as (address, _, workers),
        start("sweep", "mine.toml", "--out", "out", "--dask", address, *NUMPY, cwd=folder) as process,
    ):
        _started(process, folder / "out" / "store.db", chance)
        workers[0].send_signal(signal.SIGKILL)
        running = process.poll() is None
        _, err = process.communicate(timeout=900)
    if _never_met(process, err, row):
        return
    if "Traceback" in err:
        row.bad(RAISED, "", err)
    elif process.returncode != 0 or complaints(err):
        row.bad(OTHER, f"exit code {process.returncode}", err)
    elif not same_tallies(folder / "whole" / "store.db", folder / "out" / "store.db"):
        row.bad(WRONG, "other integers")
    else:
        row.outcomes["the same integers" + ("" if running else ", had ended")] += 1


def lose_scheduler(folder: Path, chance: random.Random, row: Row) -> None:
    """Kill the scheduler, then go on without a cluster."""
    row.tried += 1
    shutil.rmtree(folder / "out", ignore_errors=True)
    store = folder / "out" / "store.db"
    with (
        cluster(folder, 1) as (address, scheduler, _),
        start("sweep", "mine.toml", "--out", "out", "--dask", address, *NUMPY, cwd=folder) as process,
    ):
        _started(process, store, chance)
        scheduler.kill()
        _, err = process.communicate(timeout=300)
    if _never_met(process, err, row):
        return
    said = complaints(err)
    if "Traceback" in err:
        row.bad(RAISED, "", err)
        return
    if process.returncode not in (0, 1) or said.count("\n") != process.returncode:
        row.bad(OTHER, f"exit code {process.returncode}", err)
        return
    row.outcomes["one line, exit code 1" if process.returncode else "had ended"] += 1
    kept = {p.id: p.tally.realizations for p in read_points(store)}
    done = run("sweep", "mine.toml", "--out", "out", *NUMPY, cwd=folder)
    after = {p.id: p.tally.realizations for p in read_points(store)}
    if any(after.get(key, 0) < n for key, n in kept.items()):
        row.bad(LOST, "when resumed", done.stderr)
    elif done.returncode or not same_tallies(folder / "whole" / "store.db", store):
        row.bad(WRONG, "when resumed", done.stderr)
    else:
        row.outcomes["resumed to the same integers"] += 1


def refused(folder: Path, row: Row, *words: str) -> None:
    """Run a sweep that must be refused in one line."""
    row.tried += 1
    shutil.rmtree(folder / "out", ignore_errors=True)
    done = run("sweep", "mine.toml", "--out", "out", *NUMPY, "--dask", *words, cwd=folder)
    if "Traceback" in done.stderr:
        row.bad(RAISED, " ".join(words), done.stderr)
    elif done.returncode != 2 or done.stderr.count("\n") != 1 or (folder / "out").exists():
        row.bad(OTHER, f"{' '.join(words)}: exit code {done.returncode}", done.stderr)
    else:
        row.outcomes["refused in one line"] += 1


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows."""
    chance = random.Random(given.seed)
    write_spec(folder, error=0.001, realizations=4_000_000)
    assert run("sweep", "mine.toml", "--out", "whole", *NUMPY, cwd=folder).returncode == 0
    row = Row("SIGKILL to one of two dask workers")
    for _ in range(4 * given.times):
        if row.tried < given.times:
            lose_worker(folder, chance, row)
    yield row
    row = Row("SIGKILL to the dask scheduler")
    for _ in range(4 * given.times):
        if row.tried < given.times:
            lose_scheduler(folder, chance, row)
    yield row
    row = Row("a dask worker with another version")
    with cluster(folder, 1, "--preload", OTHER_VERSION) as (address, _, _):
        refused(folder, row, address)
    yield row
    row = Row("no scheduler at the address, or no address")
    for address in ("tcp://127.0.0.1:1", "somewhere", "tcp://", "tcp://127.0.0.1:99999", "http://[::1"):
        refused(folder, row, address)
    yield row
    row = Row("`--dask` without an address", 1)
    done = run("sweep", "mine.toml", "--out", "local", *NUMPY, "--dask", cwd=folder)
    if (
        done.returncode != 0
        or complaints(done.stderr)
        or not same_tallies(folder / "whole" / "store.db", folder / "local" / "store.db")
    ):
        row.bad(WRONG, f"exit code {done.returncode}", done.stderr)
    else:
        row.outcomes["the same integers"] += 1
    yield row


if __name__ == "__main__":
    script(rows, times=3, seed=1)

"""Processes killed at any moment: nothing that was finished is lost, and what is run again ends with the same integers.

``python -m tests.faults.kills --kills 60 --seed 1`` kills ``uepgpu sweep`` when it makes its store, compiles, runs and writes,
``uepgpu export``, ``combine`` and ``report`` while they write, and ``uepgpu train``, with SIGKILL, SIGTERM, SIGHUP and SIGINT (once
and twice).
"""

from __future__ import annotations

import importlib.util
import itertools
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from tests.cases.sweeping import command, environment, run, same_tallies, start, stored_ranges, write_spec
from tests.faults.tally import LOST, OTHER, RAISED, WRONG, Row, script
from uepgpu.store.errors import StoreError, StoreWarning
from uepgpu.store.stored import StoredPoint, read_points

SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGINT twice")
SWEEPS = ("creation", "compilation", "mid-run")
READERS = ("export", "combine", "report")
TRAINING = "training"
TRAIN = "train digits --codes now,mds --deadline 1 --replicas 3 --stack 2 --epochs 6 --evaluate-every 1 --threads 1 --seed 3"
LINES = 4
"""Of an interruption: what it does, what is kept, and the command to resume."""
TIMEOUT = 300.0


class Trial:
    """Kills processes in a folder of its own.

    Parameters
    ----------
    folder : Path
    seed : int
        Of the moments.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.spec = write_spec(folder, error=0.003, realizations=400_000)
        done = self._finish("whole")
        assert done.returncode == 0, done.stderr
        self.whole = folder / "whole" / "store.db"
        self.expected: dict[str, bytes | None] = {}
        self.seconds: dict[str, float] = {}
        for reader in READERS:
            began = time.monotonic()
            done = run(*self._reading(reader, "expected"), cwd=folder)
            assert done.returncode == 0, done.stderr
            self.seconds[reader] = time.monotonic() - began
            made = self._target(reader, "expected")
            self.expected[reader] = None if reader == "combine" else made.read_bytes()
        self.trained: dict[str, bytes] = {}

    # --- what is killed -------------------------------------------------------------------------------------------

    def _sweep(self, out: str, backend: str = "numpy") -> tuple[str | Path, ...]:
        return ("sweep", self.spec, "--out", out, "--backend", backend)

    def _finish(self, out: str) -> subprocess.CompletedProcess[str]:
        return run(*self._sweep(out), cwd=self.folder)

    def _target(self, reader: str, name: str) -> Path:
        return self.folder / f"{name}.{ {'export': 'csv', 'combine': 'db', 'report': 'html'}[reader] }"

    def _reading(self, reader: str, name: str) -> tuple[str | Path, ...]:
        target = self._target(reader, name)
        return (reader, self.whole, *(("--csv", target) if reader == "export" else ("-o", target)))

    def _send(self, process: subprocess.Popen[str], name: str) -> None:
        process.send_signal(getattr(signal, name.split()[0]))
        if name.endswith("twice"):
            time.sleep(self.chance.uniform(0.0, 0.3))
            process.send_signal(signal.SIGINT)

    def kill(self, phase: str, name: str, row: Row) -> None:
        """Kill once, and see what is left."""
        row.tried += 1
        if phase in SWEEPS:
            self._kill_sweep(phase, name, row)
        elif phase == TRAINING:
            self._kill_training(name, row)
        else:
            self._kill_reader(phase, name, row)

    def _kill_sweep(self, phase: str, name: str, row: Row) -> None:
        out = self.folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        store = out / "store.db"
        options: dict[str, object] = {}
        if phase == "compilation":
            # Where no kernel is cached the first range compiles for seconds.
            options["env"] = environment() | {"NUMBA_CACHE_DIR": tempfile.mkdtemp(dir=self.folder)}
        words = self._sweep("killed", "numba" if phase == "compilation" else "numpy")
        with popen(words, self.folder, options) as process:
            self._wait(process, store, phase)
            ended = process.poll() is not None
            self._send(process, name)
            _, err = process.communicate(timeout=TIMEOUT)
        self._judge_end(process.returncode, err, name, ended, row)
        copied = self.folder / "copy.db"
        copied.unlink(missing_ok=True)
        if store.exists():
            shutil.copy(store, copied)  # before anybody opens it, who would take in its log
        kept = {p.id: p.tally for p in read_quietly(store)}
        try:
            alone = sum(p.tally.realizations for p in read_quietly(copied))
            lacking = sum(t.realizations for t in kept.values()) - alone
            row.outcomes[
                "a copy of the file alone holds all" if lacking == 0 else "a copy of the file alone lacks the last second"
            ] += 1
        except StoreError as error:
            row.bad(LOST, "a copy of the file alone is no store", str(error))
        done = self._finish("killed")
        if done.returncode != 0 or done.stderr:
            row.bad(OTHER, "not resumed", done.stderr)
            return
        after = {p.id: p.tally for p in read_quietly(store)}
        lost = [key for key, tally in kept.items() if key not in after or tally.realizations > after[key].realizations]
        if lost:
            row.bad(LOST, ", ".join(lost))
        elif same_tallies(self.whole, store):
            row.outcomes["resumed to the same integers"] += 1
        else:
            row.bad(WRONG, "resumed to other integers")

    def _wait(self, process: subprocess.Popen[str], store: Path, phase: str) -> None:
        """Wait for a moment of a phase."""
        until = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < until:
            if phase == "creation" and store.parent.exists():
                time.sleep(self.chance.uniform(0.0, 0.15))
                return
            if phase == "compilation" and store.exists():
                time.sleep(self.chance.uniform(0.3, 4.0))
                return
            if phase == "mid-run" and stored_ranges(store) >= 1:
                time.sleep(self.chance.uniform(0.0, 1.5))
                return
            time.sleep(0.005)

    def _kill_reader(self, phase: str, name: str, row: Row) -> None:
        target = self._target(phase, "killed")
        before = self.whole.read_bytes()
        target.unlink(missing_ok=True)
        with popen(self._reading(phase, "killed"), self.folder, {}) as process:
            time.sleep(self.chance.uniform(0.3, 1.0) * self.seconds[phase])
            ended = process.poll() is not None
            self._send(process, name)
            _, err = process.communicate(timeout=TIMEOUT)
        self._judge_end(process.returncode, err, name, ended, row)
        if self.whole.read_bytes() != before:
            row.bad(WRONG, "the store was changed")
        self._judge_target(phase, target, row, "output absent or whole")
        target.unlink(missing_ok=True)
        done = run(*self._reading(phase, "killed"), cwd=self.folder)
        if done.returncode != 0 or done.stderr:
            row.bad(OTHER, "not run again", done.stderr)
        elif target.exists():
            self._judge_target(phase, target, row, "whole when run again")
        left = [str(f) for f in self.folder.glob(".uepgpu-*.part")]
        if left:
            row.bad(OTHER, "left behind: " + ", ".join(left))

    def _kill_training(self, name: str, row: Row) -> None:
        words = TRAIN.split()
        if not self.trained:
            done = run(*words, "--out", "trained", cwd=self.folder)
            assert done.returncode == 0, done.stderr
            began = time.monotonic()
            shutil.rmtree(self.folder / "trained")
            done = run(*words, "--out", "trained", cwd=self.folder)  # once more, with kernels compiled
            assert done.returncode == 0, done.stderr
            self.seconds[TRAINING] = time.monotonic() - began
            self.trained = curves(self.folder / "trained")
        out = self.folder / "killed-training"
        shutil.rmtree(out, ignore_errors=True)
        with popen((*words, "--out", out.name), self.folder, {}) as process:
            until, begins = time.monotonic() + TIMEOUT, self.chance.choice(("run.json", "stacks"))
            while process.poll() is None and not (out / begins).exists() and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(self.chance.uniform(0.0, 0.3) * self.seconds[TRAINING])
            ended = process.poll() is not None
            self._send(process, name)
            _, err = process.communicate(timeout=TIMEOUT)
        self._judge_end(process.returncode, err, name, ended, row)
        kept = {f.name: f.read_bytes() for f in out.glob("stacks/*-curves.npz")}
        done = run(*words, "--out", out.name, cwd=self.folder)
        if done.returncode != 0 or done.stderr:
            row.bad(OTHER, "not resumed", done.stderr)
        elif any((out / "stacks" / file).read_bytes() != content for file, content in kept.items()):
            row.bad(LOST, "a finished stack was trained again")
        elif curves(out) != self.trained:
            row.bad(WRONG, "resumed to other curves")
        else:
            row.outcomes["resumed to the same curves"] += 1

    def _judge_target(self, reader: str, target: Path, row: Row, good: str) -> None:
        if target.exists():
            if reader == "combine":
                whole = same_tallies(self.whole, target)
            else:
                whole = target.read_bytes() == self.expected[reader]
            if not whole:
                row.bad(WRONG, "a file that is not whole", str(target))
                return
        row.outcomes[good] += 1

    def _judge_end(self, code: int, err: str, name: str, ended: bool, row: Row) -> None:
        number = getattr(signal, name.split()[0])
        if "Traceback" in err:
            row.bad(RAISED, "", err)
        elif code not in ((0, -number) if number == signal.SIGKILL else (0, 130, -number)):
            row.bad(OTHER, f"exit code {code}", err)
        elif ended:
            row.outcomes["had ended"] += 1
        elif err.count("\n") > (LINES if code == 130 else 1):
            row.bad(OTHER, "more than one line", err)
        else:
            row.outcomes["ended by the signal" if code < 0 else f"ended with {code}"] += 1


def curves(folder: Path) -> dict[str, bytes]:
    """Return the tables of a training."""
    return {name: (folder / name).read_bytes() for name in ("curves.csv", "table.csv")}


def popen(words: tuple[str | Path, ...], folder: Path, options: dict[str, object]) -> subprocess.Popen[str]:
    """Start a command; it has no terminal, and inherits no ignored signal."""
    if not options:
        return start(*words, cwd=folder)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(*words), cwd=folder, encoding="utf-8", **pipes, **options)  # type: ignore[call-overload, no-any-return]


def read_quietly(store: Path) -> list[StoredPoint]:
    """Return the points of a store that may have been killed; none if it has no tables yet."""
    if not store.exists() or store.stat().st_size == 0:
        return []
    # Read only: who closes it otherwise takes its log away.
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
        if not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        return read_points(store)


def kinds() -> Iterator[tuple[str, str]]:
    """Yield phases and signals in turn, for ever: SIGKILL half of the time."""
    phases = (*SWEEPS, *READERS, *((TRAINING,) if importlib.util.find_spec("torch") else ()))
    while True:
        for other in SIGNALS[1:]:
            for name in (SIGNALS[0], other):
                for phase in phases:
                    yield phase, name


def kill_many(
    trial: Trial, number: int, wanted: Callable[[str, str], bool] = lambda phase, name: True, first: int = 0
) -> list[Row]:
    """Kill so often, every kind in turn from the first-th; return a row for each phase and signal."""
    rows: dict[tuple[str, str], Row] = {}
    for phase, name in itertools.islice(kinds(), first, None):
        if sum(row.tried for row in rows.values()) >= number:
            return [rows[kind] for kind in sorted(rows)]
        if wanted(phase, name):
            trial.kill(phase, name, rows.setdefault((phase, name), Row(f"{name} in {phase}")))
    raise AssertionError("kinds never end")


if __name__ == "__main__":
    script(lambda folder, given: kill_many(Trial(folder, given.seed), given.kills, first=given.first), kills=60, seed=1, first=0)

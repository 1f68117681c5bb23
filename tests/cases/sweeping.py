"""Sweeps run as their users run them: in processes of their own, which tests kill, starve and compare."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import uepgpu
from uepgpu.store.stored import read_points

ROOT = Path(uepgpu.__file__).parent.parent

SPEC = """
realizations = REALIZATIONS
seed = 11
deadlines = [0.25, 0.5, 1]
gamma = [0.40, 0.35, 0.25]

[stop]
relative_error = ERROR
first = 5_000
growth = 1.7

[workers]
count = 20
omega = "fair"
work = ["unit", "true"]

[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]

[[series]]
label = "EW"
code = "ew"

[[series]]
label = "NOW"
code = "now"
stop = { failures = 150_000 }

[[series]]
label = "MDS"
code = "mds"
"""


def environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}


def write_spec(folder: Path, *, error: float = 0.0015, realizations: int = 1_500_000, text: str = SPEC) -> Path:
    """Write a specification of six points, five tallies, and about a second of NumPy; four times that with half the error."""
    path = folder / "mine.toml"
    path.write_text(text.replace("REALIZATIONS", str(realizations)).replace("ERROR", str(error)))
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "uepgpu", *map(str, arguments)]


def start(*arguments: str | Path, cwd: Path, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command(*arguments),
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        **options,
    )


def run(*arguments: str | Path, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run uepgpu in a process of its own."""
    with start(*arguments, cwd=cwd, **options) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def killed_runs(*arguments: str | Path, cwd: Path, kills: int, latest: float, seed: int) -> tuple[int, int]:
    """Start a sweep again and again, each time killed with SIGKILL at a random moment; return kills made and runs that ended.

    Every run must end by the signal, or have finished without an error.
    """
    moments, ended = random.Random(seed), 0
    for _ in range(kills):
        with start(*arguments, cwd=cwd) as process:
            time.sleep(moments.uniform(0.2, latest))
            process.send_signal(signal.SIGKILL)
            _, err = process.communicate(timeout=60)
        ended += process.returncode != -signal.SIGKILL
        assert process.returncode in (-signal.SIGKILL, 0), err
        assert "Traceback" not in err, err
    return kills - ended, ended


def same_tallies(a: Path, b: Path) -> bool:
    """Whether two stores hold the same points with the same counts of the same realizations, to the bit."""
    left, right = read_points(a), read_points(b)
    return [p.id for p in left] == [p.id for p in right] and all(
        x.tally == y.tally and x.stop_reason == y.stop_reason != "" for x, y in zip(left, right, strict=True)
    )


@contextmanager
def cluster(
    folder: Path, workers: int, *options_of_workers: str
) -> Iterator[tuple[str, subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers in processes of their own; yields the address and both."""
    pytest.importorskip("distributed")
    quiet = {"cwd": folder, "env": environment(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)  # of an earlier cluster, whose address it would tell
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    processes = [
        subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", *options], **quiet)  # type: ignore[call-overload]
    ]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", *options, *options_of_workers]
    processes += [subprocess.Popen(worker, **quiet) for _ in range(workers)]  # type: ignore[call-overload]
    try:
        for _ in range(600):
            try:
                address = json.loads(file.read_text())["address"]
                break
            except (OSError, json.JSONDecodeError):
                time.sleep(0.1)
        yield address, processes[0], processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def stored_ranges(path: Path) -> int:
    if not path.exists():
        return 0
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return int(db.execute("SELECT COUNT(*) FROM span").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are being made
        return 0
    finally:
        db.close()

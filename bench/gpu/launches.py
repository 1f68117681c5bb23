"""Sections about what a call costs before it computes: launches, and compilation by a first and a second process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from bench.gpu.notes import Notes, fastest
from bench.gpu.problems import HOT, PROBLEMS
from bench.gpu.rates import prepared

__all__ = ["compilation", "launch_cost"]

FIRST_CALL = """
import sys, time
from bench.gpu.problems import PROBLEMS
began = time.perf_counter()
PROBLEMS[sys.argv[1]].simulate(int(sys.argv[3]), sys.argv[2])
print(time.perf_counter() - began)
"""


def launch_cost(notes: Notes) -> None:
    """Time small calls, and launches that are queued one after the other."""
    problem = PROBLEMS["count"]
    problem.simulate(notes.size(1000, 33), notes.backend)
    sizes = (1, 33) if notes.pretended else (1, 1000, 10**5, 10**7 if notes.share == 1 else 10**6)
    for n in sizes:
        with notes.step(f"a call of {n:,} realizations"), notes.device():
            took = fastest(lambda n=n: problem.simulate(n, notes.backend, batch=n), notes.size(9, 2))
            notes.say(f"a call of {n:,} realizations", milliseconds=1e3 * took)
    if notes.on_device:
        many, n = notes.size(200, 2), notes.size(1000, 33)
        with notes.step(f"{many} launches"), notes.device():
            ready = prepared(problem)
            ready.run(0, n)
            began = time.perf_counter()
            kept = [ready.launch(0, n)[0] for _ in range(many)]
            queued = time.perf_counter() - began
            ready.finished(kept[-1:], 0, n)
            ended = time.perf_counter() - began
            notes.say(f"{many} launches", queue_microseconds=1e6 * queued / many, to_the_end_microseconds=1e6 * ended / many)


def compilation(notes: Notes) -> None:
    """Time the first call of each hot kernel in a process that finds no compiled kernel on disk, and in one after it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        for name in HOT if notes.share == 1 else HOT[:1]:
            with notes.step(name):
                took = []
                for _ in range(2):
                    command = [sys.executable, "-c", FIRST_CALL, name, notes.backend, str(notes.size(1000, 33))]
                    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                    took.append(float(done.stdout))
                notes.say(name, nothing_on_disk_seconds=took[0], kernel_on_disk_seconds=took[1])

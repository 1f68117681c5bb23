"""Records a trace of stragglers: how long worker processes of this machine take to return a product, round after round.

``python tools/record_trace.py FILE.csv [ROUNDS WORKERS SIZE]`` starts that many processes. In every round the master sends each of
them a number and waits for all answers; a worker multiplies two SIZE × SIZE matrices and answers. The file has a row per round
and worker: ``round``, ``worker``, and ``latency``, the milliseconds from the beginning of the round to the answer's arrival.
``uepgpu/specification/specs/stragglers.csv`` was recorded so: 200 rounds of 30 workers on two cores on which other programs ran.
"""

from __future__ import annotations

import os
import sys
import time
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

import numpy as np

ROUNDS, WORKERS, SIZE = 200, 30, 96
PAUSE = 0.02
"""Seconds between rounds, so that what else the machine does changes from one to the next."""
WARM_UP = 5
"""Rounds at the beginning that are not recorded: processes start, and libraries are loaded."""


def work(size: int, master: Connection) -> None:
    """Multiply whenever the master asks for it, until it asks for no more."""
    rng = np.random.default_rng(os.getpid())
    left, right = rng.normal(size=(2, size, size))
    while master.recv() >= 0:
        # Not by BLAS, whose threads would spin on all cores.
        master.send(float(np.einsum("ij,jk->ik", left, right)[0, 0]))


def record(rounds: int, workers: int, size: int) -> np.ndarray:
    """Return latencies in milliseconds, shape (rounds, workers)."""
    pipes = [Pipe() for _ in range(workers)]
    processes = [Process(target=work, args=(size, theirs), daemon=True) for _, theirs in pipes]
    for process in processes:
        process.start()
    masters = [mine for mine, _ in pipes]
    number = {id(mine): w for w, mine in enumerate(masters)}
    latency = np.empty((WARM_UP + rounds, workers))
    for r in range(WARM_UP + rounds):
        begin = time.perf_counter()
        for mine in masters:
            mine.send(r)
        missing = set(range(workers))
        while missing:
            for ready in wait([masters[w] for w in missing]):
                answer = cast(Connection, ready)
                answer.recv()
                w = number[id(answer)]
                latency[r, w] = 1000 * (time.perf_counter() - begin)
                missing.remove(w)
        time.sleep(PAUSE)
    for mine, process in zip(masters, processes, strict=True):
        mine.send(-1)
        process.join()
    return latency[WARM_UP:]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    sizes = [int(word) for word in sys.argv[2:]] or [ROUNDS, WORKERS, SIZE]
    rows = [f"{r},{w},{taken:.3f}" for r, row in enumerate(record(*sizes)) for w, taken in enumerate(row)]
    path.write_text("\n".join(["round,worker,latency", *rows]) + "\n", encoding="utf-8")

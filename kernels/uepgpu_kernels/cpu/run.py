"""Runs a range of realizations on the CPU's cores: a loop nest on threads, and tallies from its increments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.cpu.nests import Nest
from uepgpu_kernels.cpu.tally import add_squares, tally_times
from uepgpu_kernels.cpu.threads import in_threads
from uepgpu_kernels.job import IN_BLOCKS, SUB_BATCHES, Job, RawTally, RawTrajectories
from uepgpu_kernels.transitions import patterns_of, undecoded

__all__ = ["decode_times", "run", "run_rounds"]

Ints = NDArray[np.int64]

FEW = 32 * SUB_BATCHES
"""Up to so many realizations are decoded together, and tallied apart."""


def run(job: Job, nest: Nest, kind: str, first: int, count: int, threads: int) -> RawTally:
    """Tally realizations first .. first + count - 1.

    Parameters
    ----------
    job : Job
    nest : Nest
        The job's, from :mod:`uepgpu_kernels.cpu.nests`.
    kind : "patterns", "pairs" or "marginals"
        What is tallied besides class patterns.
    threads : int
        Number of threads; the tally does not depend on it.
    """
    t, k = job.n_times, job.k
    width = k * (k + 1) // 2
    patterns = np.empty((SUB_BATCHES, t, 1 << job.n_classes), dtype=np.int64)
    pairs = np.zeros((SUB_BATCHES, t, width), dtype=np.int64) if kind == "pairs" else None
    marginals = np.zeros((SUB_BATCHES, t, k), dtype=np.int64) if kind == "marginals" else None
    nothing = np.empty((0, k), dtype=np.int64)
    # A tile decodes hundreds of realizations or one in the same time: few of them share tiles, whatever their sub-batch.
    times = decode_times(job, nest, first, count) if count <= FEW else None

    def sub_batch(b: int) -> None:
        start = first + (b - first) % SUB_BATCHES
        n = max(0, -(-(first + count - start) // SUB_BATCHES))
        transitions = np.zeros((t + 1) * job.n_classes << job.n_classes, dtype=np.int64)
        pair_times = np.zeros((0 if pairs is None else t, width), dtype=np.int64)
        each_time = np.zeros((0 if marginals is None else t, k), dtype=np.int64)
        if times is not None:
            tally_times(times[start - first :: SUB_BATCHES], job, transitions, pair_times, each_time)
        elif n:
            nest(np.uint64(start), n, np.uint64(SUB_BATCHES), transitions, pair_times, each_time, nothing)
        patterns[b] = patterns_of(transitions, n, t, job.n_classes)
        if pairs is not None:
            pairs[b] = undecoded(pair_times, n)
        if marginals is not None:
            marginals[b] = undecoded(each_time, n)

    if threads == 1:
        for b in range(SUB_BATCHES):
            sub_batch(b)
    else:
        with in_threads(threads) as run_all:
            list(run_all(sub_batch, range(SUB_BATCHES)))
    return RawTally(patterns, pairs, marginals)


def decode_times(job: Job, nest: Nest, first: int, count: int) -> Ints:
    """Return the time index at which each sub-product of each realization is decoded, shape (count, K); n_times means never."""
    record = np.empty((count, job.k), dtype=np.int64)
    transitions = np.zeros((job.n_times + 1) * job.n_classes << job.n_classes, dtype=np.int64)
    empty = np.zeros((0, job.k), dtype=np.int64)
    nest(np.uint64(first), count, np.uint64(1), transitions, empty, empty, record)
    return np.minimum(record, job.n_times)


CHUNK = 16384
"""Realizations of a sub-batch whose states are kept from round to round."""
SPARE = 1024
"""Lanes that a last tile may have beyond them."""
MOST_TIMES = 2**21
"""Times of classes that are kept until the last round of a chunk, or those of `FEW_KEPT` trajectories: 4 MB."""
FEW_KEPT = 256


def run_rounds(job: Job, nest: Nest, kind: str, first: int, count: int, threads: int, rounds: int) -> RawTrajectories:
    """Tally every round of trajectories first .. first + count - 1; parameters as for :func:`run`."""
    t, k, n_classes = job.n_times, job.k, job.n_classes
    width, events = k * (k + 1) // 2, n_classes * (n_classes + 1) // 2
    patterns = np.empty((rounds, SUB_BATCHES, t, 1 << n_classes), dtype=np.int64)
    pairs = np.zeros((rounds, SUB_BATCHES, t, width), dtype=np.int64) if kind == "pairs" else None
    marginals = np.zeros((rounds, SUB_BATCHES, t, k), dtype=np.int64) if kind == "marginals" else None
    squares = np.zeros((SUB_BATCHES, t, events * (events + 1) // 2), dtype=np.int64) if kind == "patterns" else None
    chunk = CHUNK if squares is None else min(CHUNK, max(FEW_KEPT, MOST_TIMES // (rounds * n_classes)))
    of_class = [np.flatnonzero(job.class_of == c) for c in range(n_classes)]

    def sub_batch(b: int) -> None:
        offset = (b - first) % SUB_BATCHES
        n = max(0, -(-(count - offset) // SUB_BATCHES))
        transitions = np.zeros((rounds, (t + 1) * n_classes << n_classes), dtype=np.int64)
        pair_times = np.zeros((rounds, 0 if pairs is None else t, width), dtype=np.int64)
        each_time = np.zeros((rounds, 0 if marginals is None else t, k), dtype=np.int64)
        state = np.zeros((job.n_packets if job.n_states else 0, min(n, chunk) + SPARE), dtype=np.uint8)
        row = np.zeros(min(n, chunk) + SPARE if job.replay == IN_BLOCKS else 0, dtype=np.uint32)
        # Nests that do not keep the times of classes record those of sub-products.
        met = np.zeros((rounds if squares is not None else 0, n_classes, min(n, chunk)), dtype=np.uint16)
        record = np.empty((0 if squares is None or nest.keeps_classes else min(n, chunk), k), dtype=np.int64)
        for done in range(0, n, chunk):
            start, lanes = np.uint64(first + offset + done * SUB_BATCHES), min(chunk, n - done)
            for r in range(rounds):
                out = (transitions[r], pair_times[r], each_time[r], record)
                kept = {"class_time": met[r]} if squares is not None and nest.keeps_classes else {}
                nest.of(round=r, state=state, row=row, state_first=start, **kept)(start, lanes, np.uint64(SUB_BATCHES), *out)
                if record.size:
                    for c, members in enumerate(of_class):
                        met[r, c, :lanes] = np.minimum(record[:lanes, members].max(axis=1), t)
            if squares is not None:
                add_squares(met, lanes, t, squares[b])
        patterns[:, b] = patterns_of(transitions, n, t, n_classes)
        for r in range(rounds):
            if pairs is not None:
                pairs[r, b] = undecoded(pair_times[r], n)
            if marginals is not None:
                marginals[r, b] = undecoded(each_time[r], n)

    with in_threads(threads) as run_all:
        list(run_all(sub_batch, range(SUB_BATCHES)))
    split = zip(*(x if x is not None else [None] * rounds for x in (patterns, pairs, marginals)), strict=True)
    return RawTrajectories([RawTally(*of_round) for of_round in split], squares)

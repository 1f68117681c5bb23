"""Runs a range of realizations on the CPU's cores: which loop nest, which threads, and tallies from their increments."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.automaton import Automaton
from uepgpu_kernels.cpu.singly import run_eliminate, run_match, run_peel, run_real
from uepgpu_kernels.cpu.together import run_automaton, run_chains
from uepgpu_kernels.job import SUB_BATCHES, Job, RawTally

__all__ = ["decode_times", "patterns_of", "run"]

Ints = NDArray[np.int64]
Nest = Callable[..., None]


def run(job: Job, decoder: str, kind: str, first: int, count: int, threads: int, automaton: Automaton | None = None) -> RawTally:
    """Tally realizations first .. first + count - 1.

    Parameters
    ----------
    job : Job
    decoder : "count", "match", "peel", "eliminate" or "real"
    kind : "patterns", "pairs" or "marginals"
        What is tallied besides class patterns.
    threads : int
        Number of threads; the tally does not depend on it.
    automaton : Automaton, optional
        Lets ``"match"`` walk a table.
    """
    t, k = job.n_times, job.k
    pairs = np.zeros((SUB_BATCHES, t + 1 if kind == "pairs" else 0, k * (k + 1) // 2), dtype=np.int64)
    marginals = np.zeros((SUB_BATCHES, t + 1 if kind == "marginals" else 0, k), dtype=np.int64)
    transitions = np.zeros((SUB_BATCHES, (t + 1) * job.n_classes << job.n_classes), dtype=np.int64)
    nothing = np.empty((0, k), dtype=np.int64)
    nest = _nest(job, decoder, automaton)

    def sub_batch(b: int) -> int:
        start = first + (b - first) % SUB_BATCHES
        n = max(0, -(-(first + count - start) // SUB_BATCHES))
        if n:
            nest(np.uint64(start), n, np.uint64(SUB_BATCHES), transitions[b], pairs[b], marginals[b], nothing)
        return n

    if threads == 1:
        sizes = [sub_batch(b) for b in range(SUB_BATCHES)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            sizes = list(pool.map(sub_batch, range(SUB_BATCHES)))
    patterns = patterns_of(transitions, np.array(sizes, dtype=np.int64), t, job.n_classes)
    return RawTally(
        patterns,
        _undecoded(pairs) if kind == "pairs" else None,
        _undecoded(marginals) if kind == "marginals" else None,
    )


def decode_times(job: Job, decoder: str, first: int, count: int, automaton: Automaton | None = None) -> Ints:
    """Return the time index at which each sub-product of each realization is decoded, shape (count, K); n_times means never."""
    record = np.empty((count, job.k), dtype=np.int64)
    transitions = np.zeros((job.n_times + 1) * job.n_classes << job.n_classes, dtype=np.int64)
    empty = np.zeros((0, job.k), dtype=np.int64)
    _nest(job, decoder, automaton)(np.uint64(first), count, np.uint64(1), transitions, empty, empty, record)
    return np.minimum(record, job.n_times)


def _nest(job: Job, decoder: str, automaton: Automaton | None) -> Nest:
    """Return the loop nest of a decoder with its own tables filled in: (first, count, stride, transitions, …, record)."""
    narrow = np.dtype(np.uint8 if max(job.n_packets, job.k, job.cell_window.max(initial=0)) < 255 else np.uint16)
    if decoder == "count":
        room = job.capacity.astype(narrow)
        return lambda first, count, stride, *out: run_chains(job, first, count, stride, room, *out)
    if decoder == "match" and automaton is not None:
        tables = _automaton_tables(job, automaton)
        return lambda first, count, stride, *out: run_automaton(job, first, count, stride, *tables, np.empty(0, dtype=narrow), *out)
    entry: Any = {"match": run_match, "peel": run_peel, "eliminate": run_eliminate, "real": run_real}[decoder]
    return lambda first, count, stride, *out: entry(job, first, count, stride, *out)


def _automaton_tables(job: Job, automaton: Automaton) -> tuple[NDArray[np.uint16], NDArray[np.uint64], NDArray[np.uint8]]:
    """Return tables over state·S + window: the next state times S, what is decoded, and the mask of undecoded classes."""
    n_windows = automaton.following.shape[1]
    members = np.zeros(job.n_classes, dtype=np.uint64)
    for i, c in enumerate(job.class_of):
        members[c] |= np.uint64(1) << np.uint64(i)
    open_ = ((automaton.decoded[:, None] & members) != members).astype(np.uint8) << np.arange(job.n_classes, dtype=np.uint8)
    return (
        (automaton.following * n_windows).astype(np.uint16).ravel(),
        np.repeat(automaton.decoded, n_windows),
        np.repeat(open_.sum(axis=1).astype(np.uint8), n_windows),
    )


def patterns_of(transitions: Ints, sizes: Ints, n_times: int, n_classes: int) -> Ints:
    """Return class patterns (B, T, 2^L) from transitions (B, (T + 1)·2^L·L) of `sizes` (B,) realizations."""
    moves = transitions.reshape(len(sizes), n_times + 1, 1 << n_classes, n_classes)[:, :n_times]
    change = -moves.sum(axis=3)
    for c in range(n_classes):
        without = np.array([p for p in range(1 << n_classes) if not (p >> c) & 1])
        change[:, :, without | (1 << c)] += moves[:, :, without, c]
    change[:, 0, 0] += sizes
    return np.cumsum(change, axis=1)


def _undecoded(earliest: Ints) -> Ints:
    """Return how many were still undecoded at each time (B, T, P), from counts of decoding times (B, T + 1, P)."""
    return np.cumsum(earliest[:, ::-1], axis=1)[:, -2::-1]

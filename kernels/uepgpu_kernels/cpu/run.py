"""Runs a range of realizations on the CPU's cores: which loop nest, which threads, and tallies from their increments."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.automaton import Automaton
from uepgpu_kernels.cpu.draw import Cells
from uepgpu_kernels.cpu.explore import explore
from uepgpu_kernels.cpu.lockstep import run_automaton, run_chains
from uepgpu_kernels.cpu.lists import run_match_lists, run_peel_lists
from uepgpu_kernels.cpu.masks import run_match, run_peel
from uepgpu_kernels.cpu.one_by_one import run_eliminate, run_real
from uepgpu_kernels.cpu.members import member_table
from uepgpu_kernels.cpu.sliced import run_gf2, run_gf256
from uepgpu_kernels.cpu.supports import supports_of
from uepgpu_kernels.cpu.walk_vectors import run_walk
from uepgpu_kernels.job import BY_TIME, SUB_BATCHES, Job, RawTally
from uepgpu_kernels.network import merge_exchange
from uepgpu_kernels.transitions import patterns_of, undecoded

__all__ = ["decode_times", "explored", "run"]

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
    width = k * (k + 1) // 2
    patterns = np.empty((SUB_BATCHES, t, 1 << job.n_classes), dtype=np.int64)
    pairs = np.zeros((SUB_BATCHES, t, width), dtype=np.int64) if kind == "pairs" else None
    marginals = np.zeros((SUB_BATCHES, t, k), dtype=np.int64) if kind == "marginals" else None
    nothing = np.empty((0, k), dtype=np.int64)
    nest = _nest(job, decoder, kind, automaton)

    def sub_batch(b: int) -> None:
        start = first + (b - first) % SUB_BATCHES
        n = max(0, -(-(first + count - start) // SUB_BATCHES))
        transitions = np.zeros((t + 1) * job.n_classes << job.n_classes, dtype=np.int64)
        pair_times = np.zeros((0 if pairs is None else t, width), dtype=np.int64)
        each_time = np.zeros((0 if marginals is None else t, k), dtype=np.int64)
        if n:
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
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(sub_batch, range(SUB_BATCHES)))
    return RawTally(patterns, pairs, marginals)


def decode_times(job: Job, decoder: str, first: int, count: int, automaton: Automaton | None = None) -> Ints:
    """Return the time index at which each sub-product of each realization is decoded, shape (count, K); n_times means never."""
    record = np.empty((count, job.k), dtype=np.int64)
    transitions = np.zeros((job.n_times + 1) * job.n_classes << job.n_classes, dtype=np.int64)
    empty = np.zeros((0, job.k), dtype=np.int64)
    _nest(job, decoder, "times", automaton)(np.uint64(first), count, np.uint64(1), transitions, empty, empty, record)
    return np.minimum(record, job.n_times)


def _nest(job: Job, decoder: str, kind: str, automaton: Automaton | None) -> Nest:
    """Return the loop nest of a decoder with its own tables filled in: (first, count, stride, transitions, …, record)."""
    if decoder == "count":
        cells, narrow = walked_cells(job)
        return _with(run_chains, job, cells, job.capacity.astype(narrow))
    if decoder == "match" and automaton is not None:
        cells, narrow = walked_cells(job)
        following = _following(automaton)
        if kind == "patterns" and np.all(automaton.following[:-1] < len(automaton.following) - 1):
            return _with(run_automaton, job, cells, following, _open_classes(job, automaton), np.empty(0, dtype=narrow))
        return _with(run_walk, job, cells, following, _undecoded(job, automaton))
    cells = _cells(job, np.dtype(np.uint32))
    if decoder == "eliminate" and job.field > 0:
        return _with(run_gf2 if job.field == 1 else run_gf256, job, cells, member_table(job))
    if decoder in ("match", "peel"):
        tables = supports_of(job)
        by_masks = job.k <= 64
        entries = (run_match, run_peel) if by_masks else (run_match_lists, run_peel_lists)
        return _with(entries[decoder == "peel"], job, cells, tables)
    return _with(run_real if decoder == "real" else run_eliminate, job, cells)


def _with(entry: Any, job: Job, *tables: Any) -> Nest:
    return lambda first, count, stride, *out: entry(job, first, count, stride, *tables, *out)


def explored(job: Job) -> Automaton | None:
    """Return the matching automaton of a job's windows, or what realizations meet of it, where walking it pays; else None."""
    return explore(job, walked_cells(job)[0]) if job.mask.size else None


def walked_cells(job: Job) -> tuple[Cells, np.dtype[Any]]:
    """Return cells in the narrowest integers, and the type of a walk: it holds n_packets + 1."""
    most = max(job.n_packets + 1, job.k, int(job.cell_window.max()), job.support.shape[0] - 1)
    narrow = np.dtype(np.uint8 if most <= 255 else np.uint16)
    return _cells(job, narrow), narrow


def _cells(job: Job, least: np.dtype[Any]) -> Cells:
    """Return what cells stand for, in the narrowest integers from `least` up."""
    most = int(job.cell_window.max())
    shift = most.bit_length()
    # Windows that are never drawn have no cell, and still their place in the walk.
    label = np.arange(max(most + 1, job.support.shape[0]), dtype=least)
    if job.order != BY_TIME:
        return Cells(job.cell_window.astype(least), shift, least.type(0), label, merge_exchange(0))
    key = (job.cell_time.astype(np.uint32) << shift) | job.cell_window
    narrow = np.promote_types(least, np.min_scalar_type(int(key.max())))
    return Cells(key.astype(narrow), shift, narrow.type((1 << shift) - 1), label, merge_exchange(job.n_packets))


def _following(automaton: Automaton) -> NDArray[np.uint16]:
    """Return the next state by state·S + window."""
    return automaton.following.astype(np.uint16).ravel()


def _open_classes(job: Job, automaton: Automaton) -> NDArray[np.uint8]:
    """Return the mask of undecoded classes of each state."""
    members = np.zeros(job.n_classes, dtype=np.uint64)
    for i, c in enumerate(job.class_of):
        members[c] |= np.uint64(1) << np.uint64(i)
    open_ = ((automaton.decoded[:, None] & members) != members).astype(np.uint8) << np.arange(job.n_classes, dtype=np.uint8)
    return open_.sum(axis=1).astype(np.uint8)


def _undecoded(job: Job, automaton: Automaton) -> NDArray[np.uint8]:
    """Return the bytes (⌈K/8⌉, states) of what states have not decoded."""
    width = (job.k + 7) // 8
    bytes_ = (~automaton.decoded).astype("<u8").view(np.uint8).reshape(-1, 8)
    return np.ascontiguousarray(bytes_.T[:width])
